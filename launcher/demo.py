"""The main job, seen by a newcomer: a user is registered, a mail arrives, one trace links them all.

Uses the system that runs on the data folder, or starts one on free ports and ends it afterwards.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import msgspec

from launcher.data_folder import DataFolder
from launcher.demo_trace import Span, spans_of
from launcher.detach import up_detached
from launcher.down import down
from launcher.errors import LauncherError
from launcher.maildir import Mail, mail_of_job
from launcher.state import State, read_state
from launcher.up import UpOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator
    from typing import TypeVar

    T = TypeVar("T")

_LIMIT_S = 30.0
_FREE_PORT = 0
_ENDS_OF_THE_TRACE = {"POST /v1/users", "SMTP send"}


class DemoFailed(LauncherError):
    """The demo did not come to its end; the message says at which step."""


def main(data: Path) -> int:
    """Run the demo; 0 when every step was seen to work."""
    with _system(data) as state:
        asyncio.run(_tell(state, data))
    return 0


@contextmanager
def _system(data: Path) -> Generator[State]:
    folder = DataFolder.at(data)
    running = read_state(folder.state_file) if folder.holder() else None
    if running is not None:
        _say("system", f"already running at {running.gateway}")
        yield running
        return
    _say("system", "starting Redis, NATS, Postgres, an SMTP inbox and the services ...")
    began = time.monotonic()
    up_detached(UpOptions(data=data, port=_FREE_PORT, monitor_port=_FREE_PORT, scale=(), quiet=True))
    state = read_state(folder.state_file)
    if state is None:
        raise DemoFailed("the system started and is gone again; see its logs")
    _say("system", f"ready after {time.monotonic() - began:.1f} s at {state.gateway}")
    try:
        yield state
    finally:
        down(data)
        _say("system", "drained and stopped")


async def _tell(state: State, data: Path) -> None:
    if state.gateway is None or state.mail is None:
        raise DemoFailed("the system has no gateway or no SMTP inbox of its own; unset SMTP_URL")
    maildir = Path(state.mail)
    headers = {"Authorization": f"Bearer {state.api_key}"}
    async with httpx.AsyncClient(base_url=state.gateway, headers=headers, timeout=_LIMIT_S) as gateway:
        user = await _register(gateway)
        link = next(job for job in user["jobs"] if job["handler"] == "email.send_welcome")
        job = await _follow(gateway, link["id"])
    mail = await _until(lambda: asyncio.to_thread(mail_of_job, maildir, job["id"]), "the mail")
    _show_mail(mail)
    trace_id = user["trace_id"]
    _say("trace", f"{trace_id}, the same in the job, in X-Trace-Id and in the logs:")
    for service in ("gateway", "email"):
        line = await _until(lambda name=service: asyncio.to_thread(_line_of, data, name, trace_id), service)
        _say("", line)
    if state.monitor:
        await _show_spans(state, trace_id)


async def _register(gateway: httpx.AsyncClient) -> dict[str, Any]:
    body = {"name": "Ada Lovelace", "email": f"ada.{uuid4().hex[:8]}@example.com"}
    answer = await gateway.post("/v1/users", json=body)
    if not answer.is_success:
        raise DemoFailed(f"POST /v1/users answered {answer.status_code}: {answer.text}")
    user = answer.json()
    _say("user", f"POST /v1/users -> 201, {user['name']} <{user['email']}>, id {user['id']}")
    return user


async def _follow(gateway: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    """The job in its final state, each state told as it comes."""
    seen: list[str] = []
    job: dict[str, Any] = {}
    async for job in _states(gateway, job_id):
        if job["state"] not in seen:
            seen.append(job["state"])
            _say("job", f"{job_id} is {job['state']}")
    if job.get("state") != "succeeded":
        raise DemoFailed(f"the job ended as {job.get('state')}: {job.get('error')}")
    return job


async def _states(gateway: httpx.AsyncClient, job_id: str) -> AsyncIterator[dict[str, Any]]:
    async with asyncio.timeout(_LIMIT_S), gateway.stream("GET", f"/v1/jobs/{job_id}/stream") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: {") and "state" in (job := msgspec.json.decode(line[6:])):
                yield job


def _show_mail(mail: Mail) -> None:
    _say("mail", f"{mail.subject!r} to {mail.to}")
    _say("", f"lies at {mail.path}")


def _line_of(data: Path, service: str, trace_id: str) -> str | None:
    """The service's canonical log line of this trace, told in short."""
    for log in sorted((data / "logs").glob(f"{service}*.log")):
        for text in log.read_text(errors="replace").splitlines():
            if trace_id in text and ("http.request" in text or "job.finished" in text):
                return f"{log.name}: {_in_short(text)}"
    return None


def _in_short(line: str) -> str:
    if not line.startswith("{"):
        return line[:160]
    fields = msgspec.json.decode(line)
    what = fields.get("route") or fields.get("handler")
    return f"{fields['event']} {what} trace_id={fields['trace_id']}"


async def _show_spans(state: State, trace_id: str) -> None:
    async def whole() -> list[Span] | None:
        spans = await spans_of(state, trace_id)
        # Each process sends its own spans when it is time.
        return spans if {span.name for span in spans} >= _ENDS_OF_THE_TRACE else None

    for span in await _until(whole, "the trace in the monitor"):
        _say("span", f"{'  ' * span.depth}{span.name} ({span.service}, {span.duration_ms:.1f} ms)")
    _say("see", f"{state.monitor}/traces/{trace_id}")


async def _until(look: Callable[[], Awaitable[T | None]], what: str) -> T:
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        found = await look()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise DemoFailed(f"{what} did not come within {_LIMIT_S:g} s")


def _say(what: str, text: str) -> None:
    sys.stdout.write(f"{what:>7}  {text}\n")
    sys.stdout.flush()
