"""Jobs with a unique key: one for one key, until its window is over or it has failed; on both buses."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.jobs import Handlers, JobControl, Retry
from tests.conformance.conftest import Asked, Lab
from tests.conformance.test_direct_jobs import reaches, two_handlers
from tests.until import until


async def test_a_unique_key_stands_for_the_first_job_until_its_window_ends(lab: Lab) -> None:
    handlers, seen = two_handlers()
    unique: dict[str, Any] = {"unique_key": "user 1", "unique_for": timedelta(seconds=2)}

    async with lab.service(handlers):
        first = await lab.bus.enqueue("lab.first", {"n": 1}, **unique)
        waits = await lab.bus.enqueue("lab.first", {"n": 2}, **unique)
        await reaches(lab, "succeeded", first.job_id)
        other_key = await lab.bus.enqueue("lab.first", {"n": 3}, unique_key="user 2")
        other_handler = await lab.bus.enqueue("lab.second", {"n": 4}, **unique)

        async def is_new() -> bool:
            return (await lab.bus.enqueue("lab.first", {"n": 5}, **unique)).is_new

        await until(is_new, what="the window is over")

    assert (first.is_new, waits.is_new) == (True, False)
    assert waits.job_id == first.job_id
    assert (other_key.is_new, other_handler.is_new) == (True, True)
    assert ("first", 2) not in seen


async def test_of_fifty_at_once_with_one_key_one_is_enqueued_and_all_name_it(lab: Lab) -> None:
    handlers, seen = two_handlers()

    async with lab.service(handlers):
        all_of_them = await asyncio.gather(
            *(lab.bus.enqueue("lab.first", {"n": n}, unique_key="one") for n in range(50))
        )
        await reaches(lab, "succeeded", all_of_them[0].job_id)

    assert [one.is_new for one in all_of_them].count(True) == 1
    assert len({one.job_id for one in all_of_them}) == 1
    assert len(seen) == 1


@pytest.mark.parametrize("ending", ["dead", "expired", "cancelled", "cancelled while it ran"])
async def test_a_job_that_ended_without_success_gives_its_key_free(lab: Lab, ending: str) -> None:
    handlers = Handlers("lab")
    runs = asyncio.Event()

    @handlers.on(Asked, retry=Retry(attempts=1))
    async def first(event: Asked) -> int:
        if event.what == "fail":
            raise ValueError("as told")
        if event.what == "run":
            runs.set()
            await asyncio.Event().wait()
        return event.n

    now = datetime.now(UTC)
    orders: dict[str, tuple[str, dict[str, Any]]] = {
        "dead": ("fail", {}),
        "expired": ("answer", {"expires_at": now - timedelta(seconds=1)}),
        "cancelled": ("answer", {"deliver_at": now + timedelta(hours=1)}),
        "cancelled while it ran": ("run", {}),
    }
    what, order = orders[ending]
    async with lab.service(handlers):
        before = await lab.bus.enqueue("lab.first", {"n": 1, "what": what}, unique_key="k", **order)
        if ending.startswith("cancelled"):
            await (runs.wait() if what == "run" else reaches(lab, "queued", before.job_id))
            assert not (await lab.bus.enqueue("lab.first", {"n": 2}, unique_key="k")).is_new
            event_id = before.job_id.rpartition(":")[2]
            await JobControl(lab.redis, keep=lab.settings.dead_ttl).cancel(
                "lab.first", event_id, event_type="lab.asked"
            )
        ended = await reaches(lab, ending.split(maxsplit=1)[0], before.job_id)
        after = await lab.bus.enqueue("lab.first", {"n": 3}, unique_key="k")
        again = await lab.bus.enqueue("lab.first", {"n": 4}, unique_key="k")
        key_ttl_ms = await lab.redis.pttl((await lab.redis.keys("unique:{lab.first}:*"))[0])
        job_ttl_ms = await lab.redis.pttl(f"job:{{lab.first}}:{ended.event_id}")

    assert after.is_new
    assert (again.is_new, again.job_id) == (False, after.job_id)
    assert 0 < key_ttl_ms <= 3_600_000
    # What became of a job is known for as long as a key may stand.
    assert job_ttl_ms > timedelta(days=29) / timedelta(milliseconds=1)


async def test_a_retry_does_not_give_the_key_free(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=Retry(attempts=2, base=timedelta(hours=1), jitter=False))
    async def first(event: Asked) -> None:
        raise ValueError(f"not yet {event.n}")

    async with lab.service(handlers):
        one = await lab.bus.enqueue("lab.first", {"n": 1}, unique_key="k")
        await reaches(lab, "retrying", one.job_id)
        other = await lab.bus.enqueue("lab.first", {"n": 2}, unique_key="k")

    assert (other.is_new, other.job_id) == (False, one.job_id)
