"""The same POST twice: one effect, one answer, whoever dies in between."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import asyncpg
import pytest
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.app import create_app
from gateway.door.expiry import Expiry
from gateway.settings import GatewaySettings
from shared.contracts import BATCH_TYPE, STRUCTURED_TYPE
from tests.gateway.door.conftest import Query, served
from tests.gateway.door.events import ADA, binary, structured
from tests.gateway.door.test_process import GONE, environment, running
from tests.until import until

__all__ = ["environment"]  # a fixture of test_process.py

USER = {"name": "Ada Lovelace", "email": "ada@example.com"}
MAIL = {"to": "ada@example.com", "subject": "Hello", "text": "Good morning."}
JSON = {"content-type": "application/json"}
KEY = {"idempotency-key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}

Post = Callable[..., Awaitable[Response]]


class Case(NamedTuple):
    path: str
    body: Any
    headers: Mapping[str, str] = JSON
    status: int = 202
    events: int = 1


CASES = {
    "user": Case("/v1/users", USER, status=201),
    "mail": Case("/v1/emails", MAIL),
    "binary event": Case("/v1/events", ADA, binary()),
    "structured event": Case("/v1/events", structured(), {"content-type": STRUCTURED_TYPE}),
    "group": Case(
        "/v1/groups",
        {
            "events": [{"type": "user.registered", "data": ADA}] * 2,
            "then": {"type": "user.registered", "data": ADA},
        },
        events=2,
    ),
    "batch": Case(
        "/v1/events", [structured(id=f"a-{n}") for n in range(3)], {"content-type": BATCH_TYPE}, events=3
    ),
    "batch as large as may be": Case(
        "/v1/events",
        [structured(id=f"a-{n}") for n in range(1000)],
        {"content-type": BATCH_TYPE},
        events=1000,
    ),
}
EVERY_ROUTE = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


async def post(client: AsyncClient, case: Case, **headers: str) -> Response:
    given = {**case.headers, **KEY, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await client.post(case.path, content=json.dumps(case.body), headers=given)


async def count(query: Query, table: str) -> int:
    [row] = await query(f"SELECT count(*) FROM gateway.{table}")  # noqa: S608 - our own table's name
    return int(row[0])


def told(answer: Response) -> dict[str, str]:
    """The headers that are the route's; the others belong to the server, the trace and the request."""
    others = {"date", "x-trace-id", "x-request-id", "idempotent-replayed"}
    return {name: value for name, value in answer.headers.items() if name not in others}


def problem(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


@EVERY_ROUTE
async def test_the_same_request_again_gets_the_same_answer_and_has_no_effect(
    client: AsyncClient, query: Query, case: Case
) -> None:
    first = await post(client, case)

    second = await post(client, case)

    assert (first.status_code, "idempotent-replayed" in first.headers) == (case.status, False)
    assert (second.status_code, second.headers["idempotent-replayed"]) == (case.status, "true")
    assert second.content == first.content
    assert told(second) == told(first)
    assert second.headers["x-trace-id"] != first.headers["x-trace-id"]
    assert await count(query, "events") == case.events


async def test_each_of_two_keys_is_a_request_of_its_own(client: AsyncClient, query: Query) -> None:
    first = await post(client, CASES["mail"])

    second = await post(client, CASES["mail"], idempotency_key="other")

    assert second.json()["id"] != first.json()["id"]
    assert await count(query, "events") == 2


async def test_without_a_key_nothing_is_kept(client: AsyncClient, query: Query) -> None:
    await client.post("/v1/emails", json=MAIL)
    await client.post("/v1/emails", json=MAIL)

    assert (await count(query, "events"), await count(query, "idempotency_keys")) == (2, 0)


async def test_a_duplicate_event_is_still_told_to_be_one_when_it_is_replayed(client: AsyncClient) -> None:
    await client.post("/v1/events", json=ADA, headers=binary())

    answers = [await post(client, CASES["structured event"]) for _ in range(2)]

    assert [answer.headers["trunkline-duplicate"] for answer in answers] == ["true", "true"]


@pytest.mark.parametrize(
    "other",
    [
        Case("/v1/emails", MAIL | {"text": "Good night."}),
        Case("/v1/emails?x=1", MAIL),
        Case("/v1/users", MAIL),
        Case("/v1/emails", MAIL, {"content-type": "application/json; charset=utf-8"}),
        Case("/v1/emails", MAIL, {**JSON, "ce-subject": "x"}),
    ],
    ids=["body", "query", "path", "content type", "ce- header"],
)
async def test_a_key_that_was_used_for_another_request_is_refused(
    client: AsyncClient, query: Query, other: Case
) -> None:
    await post(client, CASES["mail"])

    answer = await post(client, other)

    assert problem(answer) == (422, "idempotency-key-reused")
    assert await count(query, "events") == 1


async def test_the_quotes_of_a_key_may_be_left_out(client: AsyncClient) -> None:
    await post(client, CASES["mail"], idempotency_key='"order-4711"')

    answer = await post(client, CASES["mail"], idempotency_key="order-4711")

    assert answer.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    "key", ["a", "a" * 255, '"' + "a" * 255 + '"', '"a b, \\"c\\" \\\\"', "{[(a;b=c)]}~!"]
)
async def test_a_key_of_1_to_255_printable_characters_is_taken(client: AsyncClient, key: str) -> None:
    answer = await post(client, CASES["mail"], idempotency_key=key)

    assert answer.status_code == 202


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b'""',
        b'"',
        b'"a',
        b'a"b',
        b'"a" b',
        b'"a\\b"',
        b"a b",
        b"a,b",
        b"a" * 256,
        b'"\xc3\xa4"',
        b"\xe4",
    ],
)
async def test_a_malformed_key_is_refused_with_a_pointer_and_without_effect(
    client: AsyncClient, query: Query, key: bytes
) -> None:
    headers = [(b"content-type", b"application/json"), (b"idempotency-key", key)]

    answer = await client.post("/v1/emails", json=MAIL, headers=headers)

    assert problem(answer) == (400, "invalid-idempotency-key")
    assert answer.json()["errors"][0]["pointer"] == "#/idempotency-key"
    assert await count(query, "events") == 0


async def test_two_keys_at_once_are_refused(client: AsyncClient) -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "b")]

    answer = await client.post("/v1/emails", json=MAIL, headers=headers)

    assert problem(answer) == (400, "invalid-idempotency-key")


async def test_a_key_belongs_to_the_api_key_that_it_came_with(client: AsyncClient, query: Query) -> None:
    await post(client, CASES["mail"])

    answer = await post(client, CASES["mail"], authorization="Bearer only-publish")

    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (202, False)
    assert await count(query, "events") == 2


async def test_a_refusal_for_what_the_request_says_is_replayed(client: AsyncClient) -> None:
    case = Case("/v1/users", {"name": "Ada", "email": "nowhere"})

    first, second = [await post(client, case) for _ in range(2)]

    assert problem(first) == problem(second) == (422, "invalid")
    assert (second.content, second.headers["idempotent-replayed"]) == (first.content, "true")


async def test_a_refusal_for_the_state_of_things_is_asked_anew(client: AsyncClient, query: Query) -> None:
    await client.post("/v1/users", json=USER)
    refused = await post(client, CASES["user"])
    await query("DELETE FROM gateway.users")

    answer = await post(client, CASES["user"])

    assert problem(refused) == (409, "duplicate-email")
    assert (answer.status_code, await count(query, "users")) == (201, 1)


async def test_who_may_not_is_asked_anew(client: AsyncClient, query: Query) -> None:
    answers = [await post(client, CASES["mail"], authorization="Bearer only-read") for _ in range(2)]

    assert [problem(answer) for answer in answers] == [(403, "wrong-scope")] * 2
    assert await count(query, "idempotency_keys") == 0


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


async def test_a_key_is_kept_for_as_long_as_the_setting_says(settings: GatewaySettings, query: Query) -> None:
    async with served(settings.model_copy(update={"idempotency_ttl": timedelta(hours=1)})) as client:
        await post(client, CASES["mail"])

    [row] = await query("SELECT expires_at - created_at FROM gateway.idempotency_keys")
    assert row[0] == timedelta(hours=1)


async def test_an_expired_key_is_new_again(client: AsyncClient, query: Query) -> None:
    first = await post(client, CASES["mail"])
    await query("UPDATE gateway.idempotency_keys SET expires_at = now()")

    second = await post(client, CASES["mail"])
    third = await post(client, CASES["mail"])

    assert (await count(query, "events"), await count(query, "idempotency_keys")) == (2, 1)
    assert first.json()["id"] != second.json()["id"]
    assert third.content == second.content


async def test_expired_answers_are_removed_in_batches_and_others_kept(
    engine: AsyncEngine, query: Query
) -> None:
    await query(
        "INSERT INTO gateway.idempotency_keys"
        " (principal, key, fingerprint, status, headers, body, expires_at)"
        " SELECT '', n, '', 202, '[]', '', now() + make_interval(hours => n - 25)"
        " FROM generate_series(1, 30) AS n"
    )

    removed = await Expiry(engine, batch=10).sweep()

    assert (removed, await count(query, "idempotency_keys")) == (25, 5)


async def test_expired_answers_are_looked_for_again_and_again(engine: AsyncEngine, query: Query) -> None:
    async with Expiry(engine, every=timedelta(milliseconds=10)):
        for key in ("a", "b"):
            await query(
                "INSERT INTO gateway.idempotency_keys"
                " (principal, key, fingerprint, status, headers, body, expires_at)"
                " VALUES ('', $1, '', 202, '[]', '', now())",
                key,
            )

            async def gone() -> bool:
                return await count(query, "idempotency_keys") == 0

            await until(gone)


def test_each_post_documents_the_header_and_its_problems(settings: GatewaySettings) -> None:
    document = create_app(settings).openapi()

    posts = {
        path: item["post"]
        for path, item in document["paths"].items()
        if path.startswith("/v1") and "post" in item
    }
    assert {"/v1/users", "/v1/emails", "/v1/events"} <= posts.keys()
    for path, operation in posts.items():
        [header] = [one for one in operation["parameters"] if one["name"] == "Idempotency-Key"]
        assert "604800 s" in header["description"]
        for status, kind in {
            "400": "invalid-idempotency-key",
            "409": "idempotency-key-in-flight",
            "422": "idempotency-key-reused",
        }.items():
            content = operation["responses"][status]["content"]["application/problem+json"]
            assert kind in content["examples"], path
    described = document["paths"]["/v1/users"]["post"]["responses"]["409"]["content"]
    assert "duplicate-email" in described["application/problem+json"]["examples"]
