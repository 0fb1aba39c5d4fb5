"""Idempotency-Key: many at once, and who dies; event and answer are one commit, or neither is there."""

import asyncio

import asyncpg
import pytest
from httpx import AsyncClient

from tests.gateway.door.conftest import Query
from tests.gateway.door.events import ADA, binary
from tests.gateway.door.keyed import CASES, EVERY_ROUTE, Case, count, post, problem
from tests.gateway.door.test_process import GONE, environment, running
from tests.until import until

__all__ = ["environment"]  # a fixture of test_process.py


async def test_while_a_request_is_in_flight_its_key_is_refused_then_replayed(
    client: AsyncClient, query: Query, database_url: str
) -> None:
    other = await asyncpg.connect(database_url)
    blocking = other.transaction()
    await blocking.start()
    await other.execute("LOCK TABLE gateway.users IN EXCLUSIVE MODE")
    first = asyncio.create_task(post(client, CASES["user"]))

    async def waits() -> bool:
        [row] = await query(
            "SELECT count(*) FROM pg_locks WHERE relation = 'gateway.users'::regclass AND NOT granted"
        )
        return row[0] == 1

    await until(waits)
    meanwhile = await post(client, CASES["user"])
    await blocking.rollback()
    await other.close()
    afterwards = await first, await post(client, CASES["user"])

    assert problem(meanwhile) == (409, "idempotency-key-in-flight")
    assert meanwhile.headers["retry-after"] == "1"
    assert [answer.status_code for answer in afterwards] == [201, 201]
    assert afterwards[1].headers["idempotent-replayed"] == "true"


@EVERY_ROUTE
async def test_of_fifty_at_once_with_one_key_one_has_an_effect(
    client: AsyncClient, query: Query, case: Case
) -> None:
    answers = await asyncio.gather(*(post(client, case) for _ in range(50)))

    done = [answer for answer in answers if answer.status_code == case.status]
    refused = [answer for answer in answers if answer.status_code == 409]
    assert len(done) + len(refused) == 50
    assert ["idempotent-replayed" in answer.headers for answer in done].count(False) == 1
    assert len({answer.content for answer in done}) == 1
    assert {problem(answer)[1] for answer in refused} <= {"idempotency-key-in-flight"}
    assert await count(query, "events") == case.events
    assert await count(query, "idempotency_keys") == 1


async def test_fifty_at_once_with_a_key_each_all_succeed(client: AsyncClient, query: Query) -> None:
    answers = await asyncio.gather(
        *(post(client, CASES["mail"], idempotency_key=f"mail-{n}") for n in range(50))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert (await count(query, "events"), await count(query, "idempotency_keys")) == (50, 50)


async def test_routes_that_need_a_second_connection_do_not_wait_for_each_other(client: AsyncClient) -> None:
    case = Case("/v1/jobs/email.send:01928f3c-0000-7000-8000-000000000000/cancel", {})

    answers = await asyncio.gather(*(post(client, case, idempotency_key=f"key-{n}") for n in range(50)))

    assert {problem(answer) for answer in answers} == {(404, "not-found")}


@EVERY_ROUTE
async def test_the_answer_is_of_the_same_transaction_as_the_event(
    client: AsyncClient, query: Query, case: Case
) -> None:
    await post(client, case)

    times = await query(  # now() is that of the transaction
        "SELECT accepted_at FROM gateway.events UNION SELECT created_at FROM gateway.users"
        " UNION SELECT created_at FROM gateway.idempotency_keys"
    )
    assert len(times) == 1


@pytest.mark.parametrize("table", ["idempotency_keys", "events"])
@pytest.mark.parametrize(
    "case", [CASES["user"], CASES["mail"], CASES["batch"]], ids=["user", "mail", "batch"]
)
async def test_a_commit_that_fails_leaves_neither_event_nor_answer(
    client: AsyncClient, query: Query, case: Case, table: str
) -> None:
    await query(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$"
    )
    await query(
        f"CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON gateway.{table}"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()"  # fails at the COMMIT
    )
    failed = await post(client, case)
    left = [await count(query, name) for name in ("users", "events", "idempotency_keys")]
    await query(f"DROP TRIGGER fails ON gateway.{table}")

    again = await post(client, case)

    assert (problem(failed), left) == ((503, "unavailable"), [0, 0, 0])
    assert (again.status_code, "idempotent-replayed" in again.headers) == (case.status, False)
    assert await count(query, "events") == case.events


async def test_an_event_that_was_not_committed_is_not_published(client: AsyncClient, query: Query) -> None:
    await query("ALTER TABLE gateway.idempotency_keys ADD CHECK (status <> 202)")
    failed = await post(client, CASES["mail"])
    await client.post("/v1/events", json=ADA, headers=binary())

    async def published() -> bool:
        return (await query("SELECT FROM gateway.events WHERE published_at IS NOT NULL")) != []

    await until(published)
    assert problem(failed) == (500, "internal")
    assert await count(query, "events") == 1
    metrics = (await client.get("/metrics")).text
    assert "trunkline_relay_waiting 0.0" in metrics


@pytest.mark.parametrize(
    "case", [CASES["user"], CASES["mail"], CASES["binary event"]], ids=["user", "mail", "event"]
)
async def test_who_dies_before_the_commit_leaves_a_key_that_is_free(
    environment: dict[str, str], query: Query, case: Case
) -> None:
    async with running(environment, TRUNKLINE_FAULT="before_commit") as gateway:
        with pytest.raises(GONE):
            await post(gateway.client, case)
        assert await gateway.exit_code() == 137
    assert [await count(query, name) for name in ("users", "events", "idempotency_keys")] == [0, 0, 0]

    async with running(environment) as gateway:
        answer = await post(gateway.client, case)

    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (case.status, False)
    assert await count(query, "events") == 1


@pytest.mark.parametrize(
    "case", [CASES["user"], CASES["mail"], CASES["binary event"]], ids=["user", "mail", "event"]
)
async def test_who_dies_after_the_commit_has_left_the_answer(
    environment: dict[str, str], query: Query, case: Case
) -> None:
    async with running(environment, TRUNKLINE_FAULT="after_commit") as gateway:
        with pytest.raises(GONE):
            await post(gateway.client, case)
        assert await gateway.exit_code() == 137

    async with running(environment) as gateway:
        answer = await post(gateway.client, case)

    assert (answer.status_code, answer.headers["idempotent-replayed"]) == (case.status, "true")
    assert await count(query, "events") == 1
    [row] = await query("SELECT id::text FROM gateway.events")
    assert answer.json()["event_id"] == row["id"]
