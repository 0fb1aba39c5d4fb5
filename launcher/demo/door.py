"""The gateway, as any client uses it: requests in, what became of them out, each job told as it goes on."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from launcher.errors import LauncherError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from typing import TypeVar

    from launcher.demo.screen import Screen

    T = TypeVar("T")

LIMIT_S = 60.0
_FINAL = ("succeeded", "dead", "cancelled", "expired")


class DemoFailed(LauncherError):
    """The demo did not come to its end; the message says at which step."""


class Door:
    """A client of the gateway that tells what it sees."""

    def __init__(self, client: httpx.AsyncClient, screen: Screen) -> None:
        self._client = client
        self._screen = screen

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, api_key: str, screen: Screen) -> AsyncGenerator[Door]:
        """Connections are closed at the end."""
        headers = {"Authorization": f"Bearer {api_key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=LIMIT_S) as client:
            yield cls(client, screen)

    async def ask(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        """The answer's document; DemoFailed when the gateway refuses."""
        answer = await self._client.request(method, path, **how)
        if not answer.is_success:
            raise DemoFailed(f"{method} {path} answered {answer.status_code}: {answer.text}")
        return answer.json()

    async def download(self, path: str) -> bytes:
        """The bytes under the path."""
        answer = await self._client.get(path)
        if not answer.is_success:
            raise DemoFailed(f"GET {path} answered {answer.status_code}: {answer.text}")
        return answer.content

    async def follow(self, job_id: str) -> dict[str, Any]:
        """The job in its final state, as the server's events tell of it; DemoFailed unless it succeeded."""
        job: dict[str, Any] = {}
        with self._screen.job(job_id) as shown:
            async for job in self._states(job_id):
                shown.is_now(job)
        if job.get("state") != "succeeded":
            raise DemoFailed(f"{job_id} ended as {job.get('state')}: {job.get('error')}")
        return job

    async def follow_all(self, accepted: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """All jobs of what was accepted, side by side, by handler."""
        ids = {job["handler"]: job["id"] for job in accepted["jobs"]}
        jobs = await asyncio.gather(*(self.follow(id_) for id_ in ids.values()))
        return dict(zip(ids, jobs, strict=True))

    async def caused(self, event_id: str, type_: str) -> dict[str, Any]:
        """The event of this type that a job of the event caused, once the ledger has it."""

        async def look() -> dict[str, Any] | None:
            event = await self.ask("GET", f"/v1/events/{event_id}")
            return next((one for one in event["caused"] if one["type"] == type_), None)

        found = await until(look, f"{type_}, caused by {event_id},")
        return await self.ask("GET", f"/v1/events/{found['id']}")

    async def becomes(self, path: str, *statuses: str) -> dict[str, Any]:
        """The resource, once its status is one of these."""

        async def look() -> dict[str, Any] | None:
            resource = await self.ask("GET", path)
            return resource if resource["status"] in statuses else None

        return await until(look, f"{path} as {' or '.join(statuses)}")

    async def _states(self, job_id: str) -> AsyncIterator[dict[str, Any]]:
        async with (
            asyncio.timeout(LIMIT_S),
            self._client.stream("GET", f"/v1/jobs/{job_id}/stream") as stream,
        ):
            async for line in stream.aiter_lines():
                if line.startswith("data: {") and "state" in (job := msgspec.json.decode(line[6:])):
                    yield job
                    if job["state"] in _FINAL:
                        return


async def until(look: Callable[[], Awaitable[T | None]], what: str) -> T:
    """What is looked for, as soon as it is there; DemoFailed when it does not come."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        found = await look()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise DemoFailed(f"{what} did not come within {LIMIT_S:g} s")
