"""A whole small system in this process: gateway, a service with tame handlers, monitor; for a browser."""

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import uvicorn
from pydantic import SecretStr

from gateway.app import create_app
from gateway.door.keys import ApiKeys
from gateway.settings import GatewaySettings
from monitor.app import Monitor
from monitor.settings import Settings as MonitorSettings
from shared.contracts import EmailRequested, EmailSent
from shared.jobs import Handlers, Job, Retry
from shared.service import Service
from shared.settings import Secret, Settings

T = TypeVar("T")

OPERATOR, READER = "tests-operator", "tests-reader"
KEYS = f"{OPERATOR}=admin,{READER}=read"
WAIT_S = 20.0


@dataclass
class Stage:
    """What a test tells the handlers, from its own thread."""

    is_mended: bool = False
    done: float = 0
    released: threading.Event = field(default_factory=threading.Event)


tame = Handlers("tame")
stage = Stage()


@tame.on(
    EmailRequested, retry=Retry(attempts=2, base=timedelta(milliseconds=1)), time_limit=timedelta(minutes=5)
)
async def work(event: EmailRequested, job: Job) -> EmailSent | None:
    """Answer; or fail until mended; or go on, with progress, until released."""
    if event.subject == "fail" and not stage.is_mended:
        raise ConnectionError("the relay hung up")
    while event.subject == "slow" and not stage.released.is_set():
        await job.progress(stage.done, 100, "rows")
        await asyncio.sleep(0.05)
    return EmailSent(email_id=event.email_id, relay_id="tame") if event.subject == "answer" else None


@tame.on(EmailSent)
async def note(event: EmailSent) -> None:
    """Take notice."""
    del event


@dataclass
class System:
    """What a test needs of it."""

    gateway: str
    monitor: str
    mail: Path
    stage: Stage
    client: httpx.Client

    def ask(self, what: str = "answer") -> str:
        """Publish an event; the id of the job of `tame.work`, which will `answer`, `fail` or be `slow`."""
        event = {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "/tests",
            "type": EmailRequested.type,
            "data": {"email_id": str(uuid4()), "to": "ada@example.com", "subject": what, "text": "Hello."},
        }
        answer = self.client.post(
            "/v1/events", json=event, headers={"content-type": "application/cloudevents+json"}
        )
        answer.raise_for_status()
        return f"tame.work:{answer.json()['event_id']}"

    def job(self, job_id: str) -> dict[str, Any]:
        return self.client.get(f"/v1/jobs/{job_id}").json()

    def reaches(self, job_id: str, state: str) -> dict[str, Any]:
        """Wait until the job is in that state, also in the lists."""

        def there() -> dict[str, Any] | None:
            found = self.job(job_id)
            listed = self.client.get("/v1/jobs", params={"state": state, "text": job_id}).json()
            return found if found.get("state") == state and listed.get("items") else None

        return until(there, f"{job_id} {state}")


def until(condition: Callable[[], T | None], what: str) -> T:
    """The first true value of the condition."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)  # what is waited for tells nobody
    raise AssertionError(f"not within {WAIT_S:g} s: {what}")


@contextmanager
def system(folder: Path, *, redis_url: str, nats_url: str, database_url: str) -> Generator[System]:
    """Start it in a thread of its own, for Playwright's plain API wants this one."""
    urls: dict[str, Any] = {"redis_url": Secret(redis_url), "nats_url": Secret(nats_url)}
    gateway = uvicorn.Server(
        uvicorn.Config(
            create_app(
                GatewaySettings(
                    **urls, database_url=Secret(database_url), api_keys=ApiKeys.parse(KEYS), buses="redis"
                )
            ),
            port=0,
            log_level="warning",
            lifespan="on",
            ws="none",
            timeout_graceful_shutdown=5,
        )
    )
    mail = folder / "mail"
    for part in ("new", "cur", "tmp"):
        (mail / part).mkdir(parents=True, exist_ok=True)
    ready = threading.Event()
    found: dict[str, Any] = {}
    fault: list[BaseException] = []

    async def run() -> None:
        service = Service("tame", tame, Settings(**urls, buses="redis", metrics_port=0))
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(gateway.serve())
            while not gateway.started and not serving.done():  # noqa: ASYNC110 -- it tells nobody
                await asyncio.sleep(0.01)
            gateway_url = f"http://127.0.0.1:{gateway.servers[0].sockets[0].getsockname()[1]}"
            await service.start()
            monitor = Monitor(
                MonitorSettings(
                    **urls,
                    port=0,
                    otlp_port=0,
                    monitor_data=folder / "monitor",
                    gateway_url=gateway_url,
                    api_keys=SecretStr(KEYS),
                    monitor_mail=mail,
                    buses="redis",
                )
            )
            await monitor.open()
            watching = tasks.create_task(monitor.run())
            found.update(
                gateway=gateway_url, monitor=f"http://127.0.0.1:{monitor.port}", stopping=asyncio.Event()
            )
            found["loop"] = asyncio.get_running_loop()
            ready.set()
            await found["stopping"].wait()
            monitor.stop()
            await watching
            await service.stop()
            gateway.should_exit = True

    def thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # noqa: BLE001 -- told to the test that waits
            fault.append(error)
        finally:
            ready.set()

    running = threading.Thread(target=thread, name="system", daemon=True)
    running.start()
    assert ready.wait(60), "the system did not start"
    if fault:
        raise fault[0]
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    try:
        with httpx.Client(base_url=found["gateway"], headers=headers, timeout=20) as client:
            yield System(found["gateway"], found["monitor"], mail, stage, client)
    finally:
        stage.released.set()
        found["loop"].call_soon_threadsafe(found["stopping"].set)
        running.join(30)
