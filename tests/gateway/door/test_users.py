import asyncio

from httpx import AsyncClient

from shared.bus.redis_streams import RedisClient
from tests.gateway.door.conftest import Query
from tests.until import until


async def test_registering_commits_the_user_and_the_event_together(client: AsyncClient, query: Query) -> None:
    answer = await client.post("/v1/users", json={"name": "Ada Lovelace", "email": "Ada@Example.com"})

    assert answer.status_code == 201
    user = answer.json()
    assert (user["name"], user["email"], user["status"]) == ("Ada Lovelace", "Ada@example.com", "registered")
    assert answer.headers["location"] == f"/v1/users/{user['id']}"
    [row] = await query(
        "SELECT u.event_id::text, e.type, e.data"
        " FROM gateway.users u JOIN gateway.events e ON e.id = u.event_id"
        " WHERE u.id::text = $1 AND u.created_at = e.accepted_at",  # now() is that of the transaction
        user["id"],
    )
    assert (row["event_id"], row["type"]) == (user["event_id"], "user.registered")
    assert user["id"].encode() in row["data"]


async def test_the_event_of_a_registration_reaches_its_stream_and_is_marked(
    client: AsyncClient, redis: RedisClient, query: Query
) -> None:
    answer = await client.post("/v1/users", json={"name": "Ada", "email": "ada@example.com"})

    async def marked() -> bool:
        [row] = await query("SELECT count(published_at) FROM gateway.events")
        return row[0] == 1

    await until(marked)
    [(_, fields)] = await redis.xrange("events:user.registered")
    assert fields[b"ce-id"].decode() == answer.json()["event_id"]
    assert fields[b"traceparent"].decode()[3:35] == answer.json()["trace_id"] == answer.headers["x-trace-id"]


async def test_a_registered_user_can_be_read(client: AsyncClient) -> None:
    created = (await client.post("/v1/users", json={"name": "Ada", "email": "ada@y.test"})).json()

    answer = await client.get(f"/v1/users/{created['id']}")

    assert answer.status_code == 200
    assert answer.json() == {
        name: created[name] for name in ("id", "name", "email", "status", "created_at", "event_id")
    }


async def test_an_address_is_taken_in_any_case_of_its_letters(client: AsyncClient, query: Query) -> None:
    await client.post("/v1/users", json={"name": "Ada", "email": "ada@example.com"})

    answer = await client.post("/v1/users", json={"name": "Eve", "email": "ADA@example.COM"})

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/duplicate-email")
    [row] = await query("SELECT count(*) FROM gateway.events")
    assert row[0] == 1


async def test_of_many_at_once_with_one_address_one_is_registered(client: AsyncClient, query: Query) -> None:
    body = {"name": "Ada", "email": "ada@example.com"}

    answers = await asyncio.gather(*(client.post("/v1/users", json=body) for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    [row] = await query("SELECT (SELECT count(*) FROM gateway.users), (SELECT count(*) FROM gateway.events)")
    assert tuple(row) == (1, 1)


async def test_a_user_who_does_not_exist_is_not_found(client: AsyncClient) -> None:
    for user_id in ("01928f3c-0000-7000-8000-000000000000", "no-uuid", "%00"):
        answer = await client.get(f"/v1/users/{user_id}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
