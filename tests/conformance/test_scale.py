"""How far behind a service is, as an autoscaler asks it: the same on Redis Streams and on JetStream."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from gateway.operations.backlogs import Backlogs
from gateway.operations.scale import NATS_AWAY, Scale
from shared.bus.jetstream import NatsConnection
from shared.jobs import HandlerControl, HandlerReader, Handlers, Registry, Retry, WorkerReader
from shared.settings import Secret
from tests.conformance.conftest import Asked, Lab, all_of
from tests.until import until


@asynccontextmanager
async def scale_of(lab: Lab) -> AsyncGenerator[Scale]:
    connection = NatsConnection(lab.settings.nats_url, name="scale")
    await connection.open()
    try:
        yield Scale(Registry(lab.redis), HandlerReader(lab.redis), Backlogs(lab.redis, connection))
    finally:
        await connection.close()


async def measured(scale: Scale) -> dict[str, Any]:
    found = await scale.of("lab")
    assert found is not None
    return found


async def test_what_no_worker_has_is_the_lag_and_ages(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    async with lab.service(handlers):
        (first,) = await lab.publish(Asked(n=0))
        await lab.reaches("succeeded", "lab.answer", first)
        await lab.settles("lab.answer")
    async with scale_of(lab) as scale:
        before = await measured(scale)
        await lab.publish(*(Asked(n=n) for n in range(7)))
        behind = await measured(scale)

        async def older() -> bool:
            return (await measured(scale))["oldest_age_s"] > behind["oldest_age_s"]

        await until(older)

    assert (before["backlog"], before["lag"], before["pending"], before["oldest_age_s"]) == (0, 0, 0, None)
    assert (behind["backlog"], behind["lag"], behind["pending"], behind["workers"]) == (7, 7, 0, 0)
    assert 0 <= behind["unread_age_s"] <= behind["oldest_age_s"] < 60
    assert 0 < before["started_per_s"] <= 1
    assert [one["name"] for one in behind["handlers"]] == ["lab.answer"]


async def test_what_runs_is_pending_and_running(lab: Lab) -> None:
    handlers, may_end = Handlers("lab"), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        await may_end.wait()
        return event.n

    async with lab.service(handlers), scale_of(lab) as scale:
        published = await lab.publish(*(Asked(n=n) for n in range(3)))
        await all_of(lab, "running", "lab.answer", published)
        working = await measured(scale)
        may_end.set()
        await all_of(lab, "succeeded", "lab.answer", published)

    assert [working[name] for name in ("lag", "pending", "running", "backlog", "workers")] == [0, 3, 3, 3, 1]
    assert working["oldest_age_s"] is not None
    assert working["unread_age_s"] is None


async def test_a_retry_that_is_due_soon_calls_for_a_worker_and_a_late_one_does_not(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=Retry(base=timedelta(seconds=30), jitter=False))
    async def soon(event: Asked) -> None:
        raise RuntimeError(str(event.n))

    @handlers.on(Asked, retry=Retry(base=timedelta(hours=1), cap=timedelta(hours=1), jitter=False))
    async def late(event: Asked) -> None:
        raise RuntimeError(str(event.n))

    async with lab.service(handlers), scale_of(lab) as scale:
        (failing,) = await lab.publish(Asked(n=1))
        await lab.reaches("retrying", "lab.soon", failing)
        await lab.reaches("retrying", "lab.late", failing)
        await lab.settles("lab.soon")
        await lab.settles("lab.late")
        waiting = await measured(scale)

    assert (waiting["waiting"], waiting["due"], waiting["backlog"]) == (2, 1, 1)


async def test_a_paused_handler_calls_for_no_worker(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    async with lab.service(handlers):
        pass
    await HandlerControl(lab.redis).change("lab.answer", {"paused": True})
    await lab.publish(*(Asked(n=n) for n in range(4)))
    async with scale_of(lab) as scale:
        paused = await measured(scale)

    assert (paused["backlog"], paused["lag"], paused["handlers"][0]["paused"]) == (0, 4, True)


async def test_without_nats_no_number_is_guessed(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    async with lab.service(handlers):
        pass
    nowhere = NatsConnection(Secret("nats://127.0.0.1:1"), name="scale")
    scale = Scale(Registry(lab.redis), HandlerReader(lab.redis), Backlogs(lab.redis, nowhere))

    found = await measured(scale)

    assert [found[name] for name in ("backlog", "lag", "pending", "oldest_age_s")] == [None] * 4
    assert (found["reason"], found["running"]) == (NATS_AWAY, 0)


async def test_groups_that_are_gone_have_their_whole_stream_before_them(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    async with lab.service(handlers):
        pass
    await lab.publish(*(Asked(n=n) for n in range(3)))
    async with scale_of(lab) as scale:
        if lab.bus_name == "redis":
            await lab.redis.xgroup_destroy("events:lab.asked", "lab.answer")
        else:
            await lab.jetstream.delete_consumer("EVENTS", "lab_answer")
        found = await measured(scale)

    # JetStream keeps nothing for a consumer that is not there.
    assert found["lag"] == (3 if lab.bus_name == "redis" else 0)


async def test_a_service_that_never_was_is_not_known(lab: Lab) -> None:
    async with scale_of(lab) as scale:
        assert await scale.of("nothing") is None


async def test_a_worker_tells_how_many_jobs_it_may_hold_and_holds(lab: Lab) -> None:
    handlers, go_on = Handlers("lab"), asyncio.Event()

    @handlers.on(Asked, concurrency=5)
    async def answer(event: Asked) -> int:
        await go_on.wait()
        return event.n

    @handlers.on(Asked, concurrency=3)
    async def listen(event: Asked) -> None: ...

    async with lab.service(handlers):
        held = await lab.publish(Asked(n=0), Asked(n=1))
        for envelope in held:
            await lab.reaches("running", "lab.answer", envelope)
            await lab.reaches("succeeded", "lab.listen", envelope)
        (busy,) = await WorkerReader(lab.redis).all()
        go_on.set()
        for envelope in held:
            await lab.reaches("succeeded", "lab.answer", envelope)
        (idle,) = await WorkerReader(lab.redis).all()

    assert (busy.slots, busy.running) == (8, 2)
    assert (idle.slots, idle.running) == (8, 0)
    assert timedelta(0) < idle.lease.left <= lab.settings.lease
