"""Which jobs are lost, and which only wait: nothing is queued again for its age alone."""

import asyncio
from datetime import UTC, datetime, timedelta

from shared.clock import rfc3339
from shared.contracts import Envelope, encode_structured
from shared.jobs import Handlers, JobControl, RetryAfter
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
    async def answer(event: Asked) -> None:
        raise RetryAfter("later", timedelta(seconds=1 if event.n else 600))

    async with house.service(handlers):
        waits, due = await house.accept(Asked(n=0), Asked(n=1))
        await house.all_reach("retrying", "lab.answer", [waits, due])

        async def moved() -> bool:
            return bool(await house.redis.hexists(f"job:{{lab.answer}}:{due.id}", "queue_entry"))

        await until(moved)
    await house.redis.xadd("queue:{lab.answer}", {"job": due.id})
    await house.redis.hset(f"job:{{lab.answer}}:{due.id}", mapping=await _queued(house, due))
    await house.lose_messages()

    assert await house.reconcile(times=2) == 0


async def _queued(house: House, envelope: Envelope) -> dict[str, str]:
    """What the due job's hash says while its entry lies in the queue and no worker lives."""
    ((entry_id, _),) = await house.redis.xrevrange("queue:{lab.answer}", count=1)
    await house.redis.zrem("waiting:{lab.answer}", envelope.id)
    return {"state": "queued", "queue_entry": entry_id.decode()}


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
    at = datetime.now(UTC) + timedelta(hours=2)
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
    await house.lose_messages()

    queued_again = await house.reconcile(times=2)
    async with house.service(handlers):
        await house.all_reach("succeeded", "lab.one", [direct])
    await house.reconcile()

    assert queued_again == 1
    assert seen == {"one": [1], "other": []}
    assert await house.settled() == {direct.id}
