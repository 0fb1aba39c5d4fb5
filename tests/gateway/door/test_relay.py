from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger.ledger import Ledger
from gateway.ledger.relay import Publishes, Relay
from gateway.settings import GatewaySettings
from launcher.servers import RedisServer
from shared.bus.redis_streams import RedisClient
from shared.bus.redis_streams import connect as connect_redis
from shared.contracts import HANDLER, Envelope, addressed
from shared.settings import Secret
from tests.gateway.door.conftest import Query, served
from tests.gateway.door.events import ADA, binary, registered, requested
from tests.until import until

SOON = timedelta(milliseconds=50)
LATER = timedelta(hours=1)


class FakeBus:
    """Takes everything but the types in `refuses`, and but the jobs of handlers in it."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.refuses: set[str] = set()
        self.calls = 0

    async def publish(self, envelopes: Sequence[Envelope]) -> dict[str, str]:
        self.calls += 1
        taken = [
            envelope.id
            for envelope in envelopes
            if envelope.attributes.get(HANDLER, envelope.type) not in self.refuses
        ]
        self.published += taken
        return {id_: f"fake:{id_}" for id_ in taken}


@asynccontextmanager
async def relaying(
    engine: AsyncEngine, bus: Publishes, *, backlog: int = 1000, sweep_every: timedelta = LATER
) -> AsyncGenerator[tuple[Relay, Ledger]]:
    async with (
        Relay(
            engine, bus, backlog=backlog, sweep_every=sweep_every, flush_limit=timedelta(seconds=5)
        ) as relay,
        Ledger(engine, hand_over=relay.take) as ledger,
    ):
        yield relay, ledger


async def unpublished(query: Query) -> int:
    [row] = await query("SELECT count(*) FROM gateway.events WHERE published_at IS NULL")
    return row[0]


async def test_what_is_committed_is_published_and_marked_before_the_relay_stops(
    engine: AsyncEngine, query: Query
) -> None:
    bus = FakeBus()
    events = [registered(n) for n in range(20)]

    async with relaying(engine, bus) as (_, ledger):
        await ledger.accept(events)

    assert sorted(bus.published) == sorted(envelope.id for envelope in events)
    assert await unpublished(query) == 0
    kept = await query("SELECT id::text, place FROM gateway.events")
    assert {row["id"]: row["place"] for row in kept} == {one.id: f"fake:{one.id}" for one in events}


async def test_above_its_backlog_the_relay_leaves_events_to_the_sweeper(
    engine: AsyncEngine, query: Query
) -> None:
    bus = FakeBus()
    events = [registered(n) for n in range(20)]

    async with relaying(engine, bus, backlog=5, sweep_every=SOON) as (relay, ledger):
        await ledger.accept(events)
        assert relay.waiting <= 5

        async def all_marked() -> bool:
            return await unpublished(query) == 0

        await until(all_marked)

    assert sorted(bus.published) == sorted(envelope.id for envelope in events)


async def test_a_type_that_its_bus_refuses_does_not_hold_up_the_others(
    engine: AsyncEngine, query: Query
) -> None:
    bus = FakeBus()
    bus.refuses = {"user.registered"}
    refused = [registered(n) for n in range(600)]  # more than a page of the sweeper
    others = [requested(n) for n in range(20)]

    async with Ledger(engine, hand_over=lambda _: None) as ledger:
        await ledger.accept(refused)
        await ledger.accept(others)
    async with relaying(engine, bus, sweep_every=SOON) as (relay, _):

        async def others_are_marked() -> bool:
            return await unpublished(query) == len(refused)

        await until(others_are_marked)
        assert relay.stuck_types == {"user.registered"}
        bus.refuses = set()

        async def all_marked() -> bool:
            return await unpublished(query) == 0

        await until(all_marked)
        assert relay.stuck_types == set()


async def test_a_type_that_its_bus_refuses_does_not_hold_up_the_jobs_of_single_handlers(
    engine: AsyncEngine, query: Query
) -> None:
    bus = FakeBus()
    bus.refuses = {"user.registered"}
    refused = [registered(n) for n in range(600)]  # more than a page of the sweeper
    jobs = [addressed(registered(n), "email.send_welcome") for n in range(600, 620)]

    async with Ledger(engine, hand_over=lambda _: None) as ledger:
        await ledger.accept(refused)
        await ledger.accept(jobs)
    async with relaying(engine, bus, sweep_every=SOON) as (relay, ledger):

        async def jobs_are_marked() -> bool:
            return await unpublished(query) == len(refused)

        await until(jobs_are_marked)
        assert relay.stuck_types == {"user.registered"}
        bus.refuses |= {"email.send_welcome"}
        await ledger.accept([addressed(registered(620), "email.send_welcome")])

        async def its_jobs_are_stuck() -> bool:
            return "job of email.send_welcome" in relay.stuck_types

        await until(its_jobs_are_stuck)


async def test_a_bus_that_is_away_is_not_asked_in_a_spin(engine: AsyncEngine) -> None:
    bus = FakeBus()
    bus.refuses = {"user.registered"}

    async with relaying(engine, bus) as (relay, ledger):
        await ledger.accept([registered(0)])

        async def stuck() -> bool:
            return bool(relay.stuck_types)

        await until(stuck)
        calls = bus.calls
        for n in range(1, 50):
            await ledger.accept([registered(n)])

        assert bus.calls == calls
        assert relay.waiting == 0


async def test_what_another_gateway_left_is_found_in_commit_order_or_not(
    engine: AsyncEngine, query: Query
) -> None:
    bus = FakeBus()
    first, second = registered(1), registered(2)

    async with Ledger(engine, hand_over=lambda _: None) as ledger, relaying(engine, bus, sweep_every=SOON):
        async with ledger.transaction() as transaction:
            await transaction.write(first)
            await ledger.accept([second])

            async def second_is_out() -> bool:
                return bus.published == [second.id]

            await until(second_is_out)

        async def all_marked() -> bool:
            return await unpublished(query) == 0

        await until(all_marked)

    assert bus.published == [second.id, first.id]


async def test_two_gateways_publish_each_event_once(
    settings: GatewaySettings, redis: RedisClient, query: Query, engine: AsyncEngine
) -> None:
    hurried = settings.model_copy(update={"sweep_every": SOON})
    async with Ledger(engine, hand_over=lambda _: None) as ledger:
        left = [registered(n) for n in range(700)]
        await ledger.accept(left)

    async with served(hurried) as one, served(hurried) as other:
        for n in range(20):
            for client in (one, other):
                await client.post("/v1/events", json=ADA, headers=binary(ce_id=f"a-{n}"))

        async def all_marked() -> bool:
            return await unpublished(query) == 0

        await until(all_marked)

    entries = await redis.xrange("events:user.registered")
    ids = [fields[b"ce-id"] for _, fields in entries]
    assert len(ids) == len(set(ids)) == 720


async def test_a_bus_that_comes_back_gets_each_event_once(
    settings: GatewaySettings, tmp_path: Path, query: Query
) -> None:
    server = RedisServer(tmp_path / "redis")
    await server.start()
    try:
        async with served(settings.model_copy(update={"redis_url": Secret(server.url)})) as client:
            assert (await _publish(client, 0)) == 202
            await server.kill()
            assert [await _publish(client, n) for n in range(1, 30)] == [202] * 29
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/livez")).status_code == 200
            await server.start()

            async def all_marked() -> bool:
                return await unpublished(query) == 0

            await until(all_marked, within=20)
            redis = connect_redis(Secret(server.url))
            entries = await redis.xrange("events:user.registered")
            await redis.aclose()
    finally:
        await server.delete()

    ids = [fields[b"ce-id"] for _, fields in entries]
    assert len(ids) == len(set(ids)) == 30


async def _publish(client: AsyncClient, number: int) -> int:
    answer = await client.post("/v1/events", json=ADA, headers=binary(ce_id=f"a-{number}"))
    return answer.status_code
