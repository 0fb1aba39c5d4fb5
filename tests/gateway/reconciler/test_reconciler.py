"""Which jobs are lost, and which only wait: nothing is queued again for its age alone."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.ledger import reconciler
from gateway.ledger.later import AHEAD
from gateway.ledger.reconciler import _LOCK
from gateway.ledger.recorder import GROUP
from shared.bus import Places
from shared.bus.jetstream import NatsConnection
from shared.bus.jetstream.lookup import NatsLookup
from shared.bus.redis_streams import connect as connect_redis
from shared.bus.redis_streams.lookup import RedisLookup
from shared.clock import rfc3339
from shared.contracts import Envelope, encode_structured
from shared.errors import BusUnavailable
from shared.jobs import Handlers, JobControl, Reject, RetryAfter
from shared.settings import Secret
from tests.gateway.reconciler.conftest import NEVER, Asked, House, counting
from tests.until import until


async def test_a_backlog_is_never_queued_again_however_old_it_is(house: House) -> None:
    handlers, seen = counting("answer")
    await house.register(handlers)
    waiting = await house.accept(*(Asked(n=n) for n in range(100)))

    queued_again = await house.reconcile(times=3)
    entries = await house.queued("lab.answer")
    async with house.service(handlers):
        jobs = await house.all_reach("succeeded", "lab.answer", waiting)

    assert (queued_again, entries) == (0, 0)
    assert sorted(seen["answer"]) == list(range(100))
    assert {job.attempt for job in jobs} == {1}


async def test_jobs_whose_messages_are_gone_are_queued_again_once(house: House) -> None:
    handlers, seen = counting("answer")
    await house.register(handlers)
    lost = await house.accept(*(Asked(n=n) for n in range(100)))
    await house.lose_messages()

    rounds = [await house.reconcile() for _ in range(3)]
    entries = await house.queued("lab.answer")
    async with house.service(handlers):
        await house.all_reach("succeeded", "lab.answer", lost)

    assert rounds == [100, 0, 0]
    assert entries == 100
    assert sorted(seen["answer"]) == list(range(100))


async def test_only_the_handler_that_lacks_the_job_gets_it(house: House) -> None:
    both, seen = counting("fast", "slow")
    await house.register(both)
    fast, _ = counting("fast")
    (asked,) = await house.accept(Asked(n=7))
    async with house.service(fast):
        await house.all_reach("succeeded", "lab.fast", [asked])
    await house.lose_messages()

    queued_again = await house.reconcile(times=2)
    async with house.service(both):
        await house.all_reach("succeeded", "lab.slow", [asked])

    assert queued_again == 1
    assert seen == {"fast": [], "slow": [7]}


async def test_a_job_that_runs_is_left_to_its_worker(house: House) -> None:
    handlers, started, go_on = Handlers("lab"), list[int](), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        started.append(event.n)
        await go_on.wait()

    async with house.service(handlers):
        (asked,) = await house.accept(Asked(n=1))
        await house.all_reach("running", "lab.answer", [asked])
        await house.lose_messages()
        queued_again = await house.reconcile(times=3)
        go_on.set()
        await house.all_reach("succeeded", "lab.answer", [asked])

    assert queued_again == 0
    assert started == [1]


async def test_a_retry_that_waits_and_one_that_lies_in_its_queue_are_left(house: House) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(_: Asked) -> None:
        raise RetryAfter("later", timedelta(minutes=10))

    async with house.service(handlers):
        waits, due = await house.accept(Asked(n=0), Asked(n=1))
        await house.all_reach("retrying", "lab.answer", [waits, due])
    await house.redis.zadd("waiting:{lab.answer}", {due.id: 1})
    moved = await house.move_due("lab.answer")
    await house.lose_messages()

    queued_again = await house.reconcile(times=2)

    assert moved == 1
    assert queued_again == 0
    assert await house.queued("lab.answer") == 1


async def test_a_job_that_is_to_run_again_and_lies_in_its_queue_is_left(house: House) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(_: Asked) -> Reject:
        return Reject("not today")

    async with house.service(handlers):
        (refused,) = await house.accept(Asked(n=0))
        (job,) = await house.all_reach("dead", "lab.answer", [refused])
    control = JobControl(house.redis, keep=NEVER)
    await control.replay(
        job.handler,
        refused.id,
        event_type=refused.type,
        service="lab",
        max_attempts=job.max_attempts,
        event=b"",
    )
    await house.lose_messages()

    queued_again = await house.reconcile(times=2)

    assert queued_again == 0
    assert await house.queued("lab.answer") == 1


async def test_a_job_whose_worker_died_and_whose_message_is_gone_counts_that_attempt(house: House) -> None:
    handlers, seen = counting("answer")
    await house.register(handlers)
    (asked,) = await house.accept(Asked(n=1))
    await _dead_worker(house, asked)
    before = await house.reconcile()
    await house.lose_messages()

    after = await house.reconcile(times=2)
    async with house.service(handlers):
        (job,) = await house.all_reach("succeeded", "lab.answer", [asked])

    assert (before, after) == (0, 1)
    assert job.attempt == 2
    assert [attempt["error"]["type"] for attempt in job.attempts] == ["WorkerLost"]
    assert seen["answer"] == [1]


async def _dead_worker(house: House, envelope: Envelope) -> None:
    """The job as a worker leaves it that was killed, once its lease is over."""
    (place,) = [row[0] for row in await house.rows("SELECT place FROM gateway.events")]
    fields = {
        "state": "running",
        "attempt": "1",
        "worker": "dead",
        "token": place.partition(":")[2],
        "started_at": "1",
        "event_type": envelope.type,
        "event": encode_structured(envelope),
    }
    await house.redis.hset(f"job:{{lab.answer}}:{envelope.id}", mapping=fields)
    await house.redis.zadd("running:{lab.answer}", {envelope.id: 1})


async def test_a_job_that_was_cancelled_is_not_revived(house: House) -> None:
    handlers, seen = counting("answer")
    await house.register(handlers)
    (asked,) = await house.accept(Asked(n=1))
    control = JobControl(house.redis, keep=NEVER)
    await control.cancel("lab.answer", asked.id, event_type=asked.type)
    await house.lose_messages()

    queued_again = await house.reconcile(times=2)

    assert queued_again == 0
    assert await house.queued("lab.answer") == 0
    assert await house.settled() == {asked.id}
    assert seen["answer"] == []


async def test_a_delayed_job_that_was_lost_waits_again_for_its_instant(house: House) -> None:
    handlers, _ = counting("answer")
    await house.register(handlers)
    at = datetime.now(UTC) + AHEAD - timedelta(minutes=1)  # the ledger holds back what is due later than that
    (later,) = await house.accept(Asked(n=1), extensions={"deliverat": rfc3339(at)})
    await house.lose_messages()

    rounds = [await house.reconcile() for _ in range(2)]
    due_ms = await house.redis.zscore("waiting:{lab.answer}", later.id)
    (job,) = await house.jobs("lab.answer", [later])

    assert rounds == [1, 0]
    assert await house.queued("lab.answer") == 0
    assert abs(due_ms - at.timestamp() * 1000) < 1
    assert job is not None
    assert job.state == "queued"


async def test_a_lost_job_whose_time_is_over_expires(house: House) -> None:
    handlers, seen = counting("answer")
    await house.register(handlers)
    soon = datetime.now(UTC) + timedelta(milliseconds=200)
    (late,) = await house.accept(Asked(n=1), extensions={"expirytime": rfc3339(soon)})
    await house.lose_messages()
    await asyncio.sleep(0.3)

    await house.reconcile()
    async with house.service(handlers):
        await house.all_reach("expired", "lab.answer", [late])

    assert seen["answer"] == []


async def test_the_job_of_a_direct_event_is_that_of_its_handler_alone(house: House) -> None:
    handlers, seen = counting("one", "other")
    await house.register(handlers)
    (direct,) = await house.accept(Asked(n=1), extensions={"handler": "lab.one"})
    there = await house.reconcile()
    await house.redis.delete("queue:{lab.one}")

    queued_again = await house.reconcile(times=2)
    async with house.service(handlers):
        await house.all_reach("succeeded", "lab.one", [direct])
    await house.reconcile()

    assert (there, queued_again) == (0, 1)
    assert seen == {"one": [1], "other": []}
    assert await house.settled() == {direct.id}


async def test_what_was_lost_stays_lost_without_the_reconciler(house: House) -> None:
    handlers, seen = counting("answer")
    await house.register(handlers)
    lost = await house.accept(Asked(n=1), Asked(n=2))
    await house.lose_messages()

    async with house.service(handlers):
        later = await house.accept(Asked(n=3))
        await house.all_reach("succeeded", "lab.answer", later)
        without = await house.jobs("lab.answer", lost)
        await house.reconcile()
        await house.all_reach("succeeded", "lab.answer", lost)

    assert without == [None, None]
    assert sorted(seen["answer"]) == [1, 2, 3]


async def test_one_gateway_at_a_time_looks(house: House) -> None:
    handlers, _ = counting("answer")
    await house.register(handlers)
    await house.accept(Asked(n=1))
    await house.lose_messages()

    async with house.engine.begin() as another:
        await another.execute(_LOCK)
        while_another_works = await house.reconcile()

    assert while_another_works == 0
    assert await house.reconcile() == 1


async def test_pages_follow_one_another_and_begin_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "PAGE", 7)
    monkeypatch.setattr(reconciler, "PAGES", 2)
    house.reconciler._page_size = 7
    handlers, _ = counting("answer")
    await house.register(handlers)
    await house.accept(*(Asked(n=n) for n in range(50)))
    await house.reconcile(times=2)
    await house.lose_messages()

    rounds = [await house.reconcile() for _ in range(6)]

    # From its place the cursor goes on to the end; those that it has passed are the next circle's.
    assert rounds[0] == 50 - 2 * 2 * 7
    assert sum(rounds) == 50


async def test_an_event_whose_place_nobody_knows_waits_until_its_handler_has_seen_all(house: House) -> None:
    handlers, seen = counting("answer")
    await house.register(handlers)
    (lost,) = await house.accept(Asked(n=1))
    await house.lose_messages()
    async with house.service(handlers):  # groups and consumers are made again
        pass
    (waits,) = await house.accept(Asked(n=2))
    await house.rows("UPDATE gateway.events SET place = NULL")

    while_another_waits = await house.reconcile(times=2)
    async with house.service(handlers):
        await house.all_reach("succeeded", "lab.answer", [waits])
        await until(lambda: _nothing_waits(house))
        afterwards = await house.reconcile()
        await house.all_reach("succeeded", "lab.answer", [lost])

    assert (while_another_waits, afterwards) == (0, 1)
    assert seen["answer"] == [2, 1]


async def _nothing_waits(house: House) -> bool:
    return not await house.bus.places.are_waiting("lab.answer", Asked.type)


async def test_a_gateway_whose_recorder_is_far_behind_waits_for_it(house: House) -> None:
    handlers, _ = counting("answer")
    await house.register(handlers)
    await house.accept(Asked(n=1))
    await house.lose_messages()
    await house.redis.delete("jobs:log")
    await house.redis.xadd("jobs:log", {"h": "lab.answer", "c": "[]"}, id="1-0")
    await house.redis.xgroup_create("jobs:log", GROUP, id="0")

    before = await house.reconcile()
    ((_, ((entry_id, _),)),) = await house.redis.xreadgroup(GROUP, "one", {"jobs:log": ">"})
    taken = await house.reconcile()
    await house.redis.xack("jobs:log", GROUP, entry_id)

    assert (before, taken) == (0, 0)
    assert await house.reconcile() == 1


async def test_a_wiped_redis_is_furnished_again_and_its_jobs_end(house: House) -> None:
    handlers, seen, go_on = Handlers("lab"), list[int](), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        await go_on.wait()
        seen.append(event.n)

    async with house.recorder, house.service(handlers):
        asked = await house.accept(*(Asked(n=n) for n in range(20)))
        await house.all_reach("running", "lab.answer", asked)
        await _history_reaches(house, "running", 20)
        await house.redis.flushall()
        house.forget_handlers()

        async def all_back() -> bool:
            await house.reconcile()
            return not (await house.registry.handlers()).keys() ^ {"lab.answer"}

        await until(all_back, within=5)
        go_on.set()

        async def all_recorded() -> bool:
            await house.reconcile()
            return await _recorded(house, "succeeded") == 20

        await until(all_recorded, within=30)

    assert set(seen) == set(range(20))
    assert await house.settled() == {envelope.id for envelope in asked}


async def _history_reaches(house: House, state: str, count: int) -> None:
    async def there() -> bool:
        return await _recorded(house, state) == count

    await until(there)


async def _recorded(house: House, state: str) -> int:
    ((count,),) = await house.rows("SELECT count(*) FROM gateway.jobs WHERE state = :state", state=state)
    return count


async def test_what_cannot_be_seen_is_not_gone_and_is_looked_at_in_smaller_pages(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers, _ = counting("answer")
    await house.register(handlers)
    await house.accept(*(Asked(n=n) for n in range(30)))
    await house.lose_messages()
    monkeypatch.setattr(house.reconciler, "_places", nowhere())
    monkeypatch.setattr(house.reconciler, "_page_size", 20)

    with pytest.raises(BusUnavailable):
        await house.reconcile()
    size = house.reconciler._page_size
    queued = await house.queued("lab.answer")
    monkeypatch.undo()

    assert (size, queued) == (10, 0)
    assert await house.reconcile() == 30


def nowhere() -> Places:
    """Both buses, away."""
    redis = connect_redis(Secret("redis://127.0.0.1:9/0"), retries=0)
    nats = NatsConnection(Secret("nats://127.0.0.1:9"), name="nowhere")
    return Places(RedisLookup(redis), NatsLookup(nats))
