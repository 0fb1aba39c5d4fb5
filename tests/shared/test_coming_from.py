"""The Python of docs/coming-from.md does what it says: each block is a file, run on real servers."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient, ConnectError
from redis.asyncio import Redis

from gateway.door.keys import ApiKeys
from gateway.settings import GatewaySettings
from launcher.ports import free_port
from shared.jobs import JobReader, JobRecord
from shared.settings import Secret
from tests.gateway.door.conftest import KEYS, served
from tests.until import until

PAGE = Path(__file__).parents[2] / "docs" / "coming-from.md"
BLOCKS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL))
RUN_HERE = {"letters.py", "shop.py", "enqueue.py", "once.py", "nightly.py", "look.py"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, code in BLOCKS.items():
        (tmp_path / name).write_text(code)
    return tmp_path


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Any]:
    async with Redis.from_url(redis_url, protocol=2) as redis:
        yield redis


@pytest.fixture
def environment(redis_url: str, folder: Path) -> dict[str, str]:
    here = str(PAGE.parents[1])
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{here}:{folder}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "REDIS_URL": redis_url,
        "BUSES": "redis",
        "LOG_LEVEL": "warning",
    }


@asynccontextmanager
async def process(environment: dict[str, str], *command: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(sys.executable, *command, env=environment)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
            async with asyncio.timeout(40):
                await running.wait()


@pytest.fixture
async def letters(environment: dict[str, str], folder: Path, redis: Any) -> AsyncIterator[None]:
    """The service of the page, taking jobs."""
    async with process(environment, str(folder / "letters.py")):

        async def announced() -> bool:
            return bool(await redis.hexists("handlers", "letters.write"))

        await until(announced, within=30)
        yield


async def run(environment: dict[str, str], script: Path) -> str:
    running = await asyncio.create_subprocess_exec(
        sys.executable, str(script), env=environment, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, _ = await running.communicate()
    assert running.returncode == 0
    return output.decode()


async def reaches(redis: Any, state: str, job_id: str) -> JobRecord:
    async def there() -> JobRecord | None:
        job = (await JobReader(redis).get([job_id]))[0]
        return job if job is not None and job.state == state else None

    return await until(there, within=20, what=f"{job_id} {state}")


def test_every_block_of_python_is_a_file_that_is_run_here() -> None:
    assert set(BLOCKS) == RUN_HERE
    assert len(re.findall(r"```python", PAGE.read_text())) == len(RUN_HERE)


@pytest.mark.usefixtures("letters")
async def test_background_tasks(environment: dict[str, str], redis: Any) -> None:
    port = free_port()
    command = ("-m", "uvicorn", "shop:app", "--port", str(port), "--log-level", "warning")
    async with (
        process(environment, *command),
        AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as shop,
    ):

        async def answers() -> bool:
            try:
                return (await shop.get("/docs")).status_code == 200
            except ConnectError:
                return False

        await until(answers, within=30)
        ordered = (await shop.post("/orders")).json()["job"]
        reminders = [(await shop.post("/reminders")).json()["job"] for _ in range(2)]

    await reaches(redis, "succeeded", ordered)
    await reaches(redis, "succeeded", reminders[0])
    assert reminders[0] == reminders[1]

    async def all_three() -> bool:
        return len(await redis.keys("job:{letters.write}:*")) == 3

    await until(all_three)


@pytest.mark.usefixtures("letters")
async def test_celery(environment: dict[str, str], folder: Path, redis: Any) -> None:
    now, later, published = (await run(environment, folder / "enqueue.py")).split()

    written = await reaches(redis, "succeeded", now)
    waited = await reaches(redis, "succeeded", later)
    await reaches(redis, "succeeded", published)

    assert written.to_api()["result"] == {"pages": 3}
    assert written.progress == {"done": 3.0, "total": 3.0, "note": "page 3"}
    assert waited.started_at is not None
    assert written.queued_at is not None
    assert (waited.started_at - written.queued_at).total_seconds() > 0.5


@pytest.mark.usefixtures("letters")
async def test_arq(environment: dict[str, str], folder: Path, redis: Any) -> None:
    job_id = (await run(environment, folder / "once.py")).strip()

    await reaches(redis, "succeeded", job_id)


@pytest.mark.usefixtures("letters")
async def test_apscheduler(environment: dict[str, str], folder: Path, redis: Any) -> None:
    everywhere = await asyncio.gather(*(run(environment, folder / "nightly.py") for _ in range(3)))

    await reaches(redis, "succeeded", everywhere[0].strip())
    assert len(set(everywhere)) == 1
    assert len(await redis.keys("job:{letters.write}:*")) == 1


@pytest.mark.usefixtures("letters")
async def test_flower(
    environment: dict[str, str], folder: Path, redis: Any, redis_url: str, database_url: str
) -> None:
    settings = GatewaySettings(
        redis_url=Secret(redis_url),
        database_url=Secret(database_url),
        api_keys=ApiKeys.parse(KEYS),
        buses="redis",
    )
    # A letter that cannot be written. The first may be dead, and its key free, before the second comes.
    refused = BLOCKS["once.py"].replace('"Ada", "text"', '"nobody", "text"')
    claims = [line for line in refused.splitlines(keepends=True) if line.strip().startswith("assert")]
    assert len(claims) == 2
    for claim in claims:
        refused = refused.replace(claim, "")
    (folder / "refused.py").write_text(refused)
    async with served(settings) as gateway:
        job_id = (await run(environment, folder / "refused.py")).strip()
        await reaches(redis, "dead", job_id)

        async def recorded() -> bool:
            return bool((await gateway.get("/v1/dead")).json()["items"])

        await until(recorded, within=20)
        seen = await run(
            {**environment, "GATEWAY": str(gateway.base_url), "API_KEY": "all-of-it"}, folder / "look.py"
        )

    assert "works on letters.write" in seen
    assert f"{job_id} dead attempt 1" in seen
    assert f"{job_id} non_retryable nobody lives there" in seen
    assert "event: end" in seen
