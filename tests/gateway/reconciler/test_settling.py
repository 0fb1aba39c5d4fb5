"""Which events are settled when nobody saw the end of their last job, or when they have none."""

from datetime import timedelta
from time import monotonic

import pytest

from gateway.ledger.settling import remember
from shared.jobs import Handlers
from tests.gateway.reconciler.conftest import Asked, House, Other, counting, wait_a_moment


@pytest.fixture
def bus_name() -> str:
    """What the ledger learns of jobs does not depend on the bus."""
    return "redis"


async def test_an_event_whose_job_ended_while_no_recorder_ran_is_recorded_and_settled(house: House) -> None:
    handlers, _ = counting("answer")
    async with house.service(handlers):
        asked = await house.accept(Asked(n=1), Asked(n=2))
        await house.all_reach("succeeded", "lab.answer", asked)
    await house.redis.delete("jobs:log")
    await house.redis.xadd("jobs:log", {"h": "lab.answer", "c": "[]"})

    queued_again = await house.reconcile()

    recorded = await house.rows("SELECT id, state FROM gateway.jobs ORDER BY id")
    assert [tuple(row) for row in recorded] == sorted(
        (f"lab.answer:{envelope.id}", "succeeded") for envelope in asked
    )
    assert await house.settled() == {envelope.id for envelope in asked}
    assert queued_again == 0


async def test_an_event_that_nobody_handles_is_settled_once_the_registry_can_be_trusted(house: House) -> None:
    house.reconciler._after = timedelta(minutes=1)
    (unhandled,) = await house.accept(Asked(n=1))
    await house.rows("UPDATE gateway.events SET published_at = now() - interval '1 hour'")

    await house.reconcile()
    with_an_empty_registry = await house.settled()
    await _register_a_stranger(house)
    await house.reconcile()
    with_a_new_registry = await house.settled()
    house.reconciler._handlers_known_since = monotonic() - 61
    await house.reconcile()

    assert with_an_empty_registry == with_a_new_registry == set()
    assert await house.settled() == {unhandled.id}


async def test_an_event_of_a_handler_that_the_registry_has_lost_stays_open(house: House) -> None:
    handlers, seen = counting("answer")
    await house.register(handlers)
    async with house.engine.begin() as connection:
        await remember(connection, await house.registry.handlers())
    (owed,) = await house.accept(Asked(n=1))
    await house.redis.flushall()
    await _register_a_stranger(house)

    for _ in range(3):
        await house.reconcile()
        await wait_a_moment()
    before = await house.settled()
    async with house.service(handlers):
        house.forget_handlers()
        assert await house.reconcile() == 1
        await house.all_reach("succeeded", "lab.answer", [owed])
    await house.reconcile()

    assert before == set()
    assert await house.settled() == {owed.id}
    assert seen["answer"] == [1]


async def test_an_event_waits_for_the_job_of_a_handler_that_the_registry_has_lost(house: House) -> None:
    both, _ = counting("here", "away")
    await house.register(both)
    await house.reconcile()
    here, _ = counting("here")
    await house.redis.flushall()
    house.forget_handlers()

    async with house.service(here):
        (asked,) = await house.accept(Asked(n=1))
        await house.all_reach("succeeded", "lab.here", [asked])
    await house.reconcile(times=2)
    before = await house.settled()
    async with house.service(both):
        house.forget_handlers()
        await house.reconcile()
        await house.all_reach("succeeded", "lab.away", [asked])
    await house.reconcile()

    assert before == set()
    assert await house.settled() == {asked.id}


async def _register_a_stranger(house: House) -> None:
    """Another service announces itself; it handles other events."""
    handlers = Handlers("strange")

    @handlers.on(Other)
    async def do(event: Other) -> None:
        del event

    await house.register(handlers)
    house.forget_handlers()
