"""Events of ticks that the scheduler published enter the ledger; those that wait for a bus do not."""

from datetime import UTC, datetime
from uuid import uuid4

from httpx import AsyncClient

from tests.gateway.door.conftest import Query
from tests.until import until

ENTER = """
    INSERT INTO scheduler.outbox (id, type, source, attributes, data, schedule, tick, published_at, place)
    VALUES ($1, 'cron.cleanup', '/trunkline/scheduler', '{"subject": "a"}', $2, 'a', $3, $4, $5)
"""


async def test_a_published_tick_is_an_event_of_the_ledger_and_a_waiting_one_is_not(
    client: AsyncClient, query: Query
) -> None:
    now, sent, waiting = datetime.now(UTC), uuid4(), uuid4()
    data = b'{"schedule":"a","tick":"2026-05-04T00:00:00Z"}'
    await query(ENTER, waiting, data, now, None, None)
    await query(ENTER, sent, data, now, now, "nats:EVENTS 7")

    async def adopted() -> bool:
        return (await client.get(f"/v1/events/{sent}")).status_code == 200

    await until(adopted)

    event = (await client.get(f"/v1/events/{sent}")).json()
    assert (event["type"], event["data"]["schedule"]) == ("cron.cleanup", "a")
    [entry] = await query("SELECT published_at, place FROM gateway.events WHERE id = $1", sent)
    assert (entry["published_at"], entry["place"]) == (now, "nats:EVENTS 7")
    assert [row["id"] for row in await query("SELECT id FROM scheduler.outbox")] == [waiting]
