"""Lost jobs in Redis: what is queued again, and what turns out not to be lost when the order comes."""

import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from shared.bus.redis_streams import connect
from shared.clock import rfc3339
from shared.contracts import Envelope, Event, wrap
from shared.jobs import HandlerRecord, JobReader, JobStanding, LostJobs
from shared.settings import Secret

HANDLER = HandlerRecord(
    name="lab.answer",
    service="lab",
    event_type="lab.asked",
    max_attempts=3,
    concurrency=1,
    time_limit_s=1,
    version="1",
    description="",
    registered_at="",
)
UNKNOWN = JobStanding("", "", is_held=False)
HOUR_MS = 3_600_000


class Asked(Event):
    type: ClassVar[str] = "lab.asked"

    n: int


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Any]:
    client = connect(Secret(redis_url))
    yield client
    await client.aclose()


@pytest.fixture
def lost(redis: Any) -> LostJobs:
    return LostJobs(redis, keep=timedelta(hours=1))


def event(**extensions: str) -> Envelope:
    return wrap(Asked(n=1), source="/lab", extensions=extensions)


async def write(redis: Any, asked: Envelope, **fields: str) -> None:
    await redis.hset(f"job:{{lab.answer}}:{asked.id}", mapping=fields)


async def queue(redis: Any) -> list[bytes]:
    return [fields[b"job"] for _, fields in await redis.xrange("queue:{lab.answer}")]


async def test_a_job_that_nobody_knows_is_queued_once_with_its_event(redis: Any, lost: LostJobs) -> None:
    asked = event()

    before = await lost.look("lab.answer", [asked.id])
    orders = [await lost.queue_again(HANDLER, [asked]) for _ in range(2)]
    after = await lost.look("lab.answer", [asked.id])
    (job,) = await JobReader(redis).get([f"lab.answer:{asked.id}"])

    assert (before, after) == ([UNKNOWN], [JobStanding("queued", "", is_held=True)])
    assert orders == [[True], [False]]
    assert await queue(redis) == [asked.id.encode()]
    assert job is not None
    assert (job.attempt, job.max_attempts, job.event_type) == (0, 3, "lab.asked")
    assert asked.id.encode() in (job.event or b"")
    assert 0 < await redis.pttl(f"job:{{lab.answer}}:{asked.id}") <= HOUR_MS


@pytest.mark.parametrize("state", ["succeeded", "dead", "cancelled", "expired"])
async def test_a_job_that_has_ended_meanwhile_is_not_revived(redis: Any, lost: LostJobs, state: str) -> None:
    asked = event()
    await write(redis, asked, state=state)

    (queued,) = await lost.queue_again(HANDLER, [asked])
    (standing,) = await lost.look("lab.answer", [asked.id])

    assert (queued, await queue(redis)) == (False, [])
    assert standing.is_final


async def test_a_job_that_was_claimed_meanwhile_is_its_workers(redis: Any, lost: LostJobs) -> None:
    taken, abandoned = event(), event()
    for asked, until_ms in ((taken, time.time() * 1000 + 60_000), (abandoned, 1)):
        await write(redis, asked, state="running", attempt="2", token="EVENTS 7")
        await redis.zadd("running:{lab.answer}", {asked.id: until_ms})

    standings = await lost.look("lab.answer", [taken.id, abandoned.id])
    queued = await lost.queue_again(HANDLER, [taken, abandoned])
    (job,) = await JobReader(redis).get([f"lab.answer:{abandoned.id}"])

    assert standings == [
        JobStanding("running", "EVENTS 7", is_held=True),
        JobStanding("running", "EVENTS 7", is_held=False),
    ]
    assert queued == [False, True]
    assert await queue(redis) == [abandoned.id.encode()]
    assert job is not None
    assert (job.state, job.attempt) == ("running", 2)


async def test_a_retry_keeps_its_attempts_and_waits_for_its_instant(redis: Any, lost: LostJobs) -> None:
    waits, adrift, over = event(), event(), event()
    later_ms = round(time.time() * 1000) + HOUR_MS
    for asked, due_ms in ((waits, later_ms), (adrift, later_ms), (over, 1)):
        await write(redis, asked, state="retrying", attempt="2", due_at=str(due_ms))
    await redis.zadd("waiting:{lab.answer}", {waits.id: later_ms})

    queued = await lost.queue_again(HANDLER, [waits, adrift, over])
    jobs = await JobReader(redis).get([f"lab.answer:{asked.id}" for asked in (adrift, over)])

    assert queued == [False, True, True]
    assert [(job.state, job.attempt) for job in jobs if job] == [("retrying", 2), ("queued", 2)]
    assert await redis.zscore("waiting:{lab.answer}", adrift.id) == later_ms
    assert await queue(redis) == [over.id.encode()]


async def test_a_job_to_be_delivered_later_waits_again(redis: Any, lost: LostJobs) -> None:
    at = datetime.now(UTC) + timedelta(hours=2)
    later = event(deliverat=rfc3339(at))

    orders = [await lost.queue_again(HANDLER, [later]) for _ in range(2)]

    assert orders == [[True], [False]]
    assert await queue(redis) == []
    due_ms = await redis.zscore("waiting:{lab.answer}", later.id)
    assert abs(due_ms - at.timestamp() * 1000) <= 1
    assert await redis.pttl(f"job:{{lab.answer}}:{later.id}") > 2 * HOUR_MS
