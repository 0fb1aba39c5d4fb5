"""The same POST twice: one effect, one answer, for as long as its key is kept."""

from datetime import timedelta

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.app import create_app
from gateway.door.expiry import Expiry
from gateway.door.idempotency import SECRET_ANSWERS
from gateway.settings import GatewaySettings
from tests.gateway.door.conftest import Query, served
from tests.gateway.door.events import ADA, binary
from tests.gateway.door.keyed import CASES, EVERY_ROUTE, JSON, MAIL, USER, Case, count, post, problem, told
from tests.until import until


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
        if path.startswith("/v1") and "post" in item and path not in SECRET_ANSWERS
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
