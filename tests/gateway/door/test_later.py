"""Events that are to be delivered later: they wait in the ledger, and reach their bus in time."""

from datetime import UTC, datetime, timedelta

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger.later import AHEAD, held_until
from gateway.ledger.ledger import Ledger
from shared.bus.redis_streams import RedisClient
from shared.clock import rfc3339
from shared.contracts import DELIVER_AT, Envelope, UserRegistered, wrap
from shared.jobs import Handlers, Registry, WorkerRecord
from tests.gateway.door.conftest import Query
from tests.gateway.door.events import ADA, binary, registered
from tests.gateway.door.test_relay import SOON, FakeBus, relaying
from tests.until import until

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def later(by: timedelta, now: datetime) -> Envelope:
    event = UserRegistered(user_id="u-1", name="Ada", email="ada@example.com")
    return wrap(event, source="/shop", extensions={DELIVER_AT: rfc3339(now + by)})


@pytest.mark.parametrize(
    ("by", "held_for"),
    [
        (timedelta(days=60), timedelta(days=60) - AHEAD),
        (AHEAD + timedelta(seconds=1), timedelta(seconds=1)),
        (AHEAD, None),
        (timedelta(seconds=1), None),
        (timedelta(days=-1), None),
    ],
)
def test_an_event_is_held_until_shortly_before_its_instant(by: timedelta, held_for: timedelta | None) -> None:
    until_when = held_until(later(by, NOW), NOW)

    assert until_when == (NOW + held_for if held_for else None)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_ends_of_the_calendar_are_instants_as_any(text: str) -> None:
    event = wrap(UserRegistered(user_id="u-1", name="Ada", email="a@example.com"), source="/shop")
    event.attributes[DELIVER_AT] = text

    assert (held_until(event, NOW) is None) == (text < "2026")


async def test_a_held_event_is_published_when_its_time_has_come_and_not_before(
    engine: AsyncEngine, query: Query
) -> None:
    bus = FakeBus()
    held, due = later(timedelta(days=1), datetime.now(UTC)), registered(2)

    async with relaying(engine, bus, sweep_every=SOON) as (_, ledger):
        await ledger.accept([held])
        await ledger.accept([due])
        await until(lambda: _is_out(bus, due))
        assert bus.published == [due.id]
        await query("UPDATE gateway.events SET held_until = now() WHERE id = $1", held.id)
        await until(lambda: _is_out(bus, held))

    assert bus.published == [due.id, held.id]


async def test_what_is_held_does_not_stand_before_what_is_due(engine: AsyncEngine, query: Query) -> None:
    bus = FakeBus()
    now = datetime.now(UTC)
    async with Ledger(engine, hand_over=lambda _: None) as ledger:
        # More than a page of the sweeper, and accepted first.
        await ledger.accept([later(timedelta(days=1), now) for _ in range(600)])
        await ledger.accept([registered(n) for n in range(5)])

    async with relaying(engine, bus, sweep_every=SOON) as (relay, _):
        await until(lambda: _count_is(bus, 5))
        assert await relay.sweep() == 0

    [row] = await query("SELECT count(*) FROM gateway.events WHERE published_at IS NULL")
    assert row[0] == 600


async def test_the_job_of_a_held_event_can_be_read_and_cancelled(
    client: AsyncClient, redis: RedisClient
) -> None:
    await announce(redis)
    deliver_at = rfc3339(datetime.now(UTC) + timedelta(days=90))
    answer = await client.post("/v1/events", json=ADA, headers=binary(ce_deliverat=deliver_at))
    [job] = answer.json()["jobs"]

    shown = (await client.get(job["href"])).json()
    cancelled = await client.post(f"{job['href']}/cancel")

    assert (shown["state"], shown["due_at"]) == ("queued", deliver_at)
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    handler, _, event_id = job["id"].rpartition(":")
    kept_ms = await redis.pttl(f"job:{{{handler}}}:{event_id}")
    assert kept_ms > timedelta(days=119).total_seconds() * 1000
    assert await redis.xlen("events:user.registered") == 0


async def announce(redis: RedisClient) -> None:
    """Make a handler of user.registered known."""
    handlers = Handlers("later")

    @handlers.on(UserRegistered)
    async def remember(event: UserRegistered) -> None:
        del event

    worker = WorkerRecord(
        id="later-1",
        service="later",
        version="0",
        handlers=["later.remember"],
        host="here",
        pid=1,
        started_at=rfc3339(NOW),
    )
    await Registry(redis).announce([*handlers], worker, lease=timedelta(seconds=30))


async def _is_out(bus: FakeBus, envelope: Envelope) -> bool:
    return envelope.id in bus.published


async def _count_is(bus: FakeBus, count: int) -> bool:
    return len(bus.published) == count
