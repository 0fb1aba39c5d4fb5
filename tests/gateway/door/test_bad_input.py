"""Nonsense is never answered with 500: each kind has a status, a stable type and a pointer."""

import json
from collections.abc import AsyncIterator
from html import escape
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from httpx import AsyncClient

from gateway.door.keys import ApiKeys
from gateway.settings import GatewaySettings
from shared.contracts import BATCH_TYPE, STRUCTURED_TYPE
from shared.settings import Secret
from tests.conftest import Servers, own_database
from tests.gateway.door.conftest import KEYS, Query, served
from tests.gateway.door.events import ADA, binary, structured

JSON = {"content-type": "application/json"}
STRUCTURED = {"content-type": STRUCTURED_TYPE}
BATCH = {"content-type": BATCH_TYPE}
USER = {"name": "Ada", "email": "ada@example.com"}
MAIL = {"to": "ada@example.com", "subject": "Hello", "text": "Good morning."}
BOMB = b"[" * 100_000


class Case(NamedTuple):
    name: str
    path: str
    headers: dict[str, str] | list[tuple[str, str]]
    body: Any
    status: int
    type: str
    pointer: str | None = None


def user(name: str, pointer: str, /, **changes: Any) -> Case:
    return Case(name, "/v1/users", JSON, USER | changes, 422, "invalid", pointer)


def mail(name: str, pointer: str | None, body: dict[str, Any]) -> Case:
    return Case(name, "/v1/emails", JSON, body, 422, "invalid", pointer)


def header(name: str, pointer: str, /, **changes: str | None) -> Case:
    return Case(name, "/v1/events", binary(**changes), ADA, 400, "invalid-event", pointer)


def data(name: str, pointer: str, body: Any) -> Case:
    return Case(name, "/v1/events", binary(), body, 422, "invalid-data", pointer)


CASES = [
    Case("user: no JSON", "/v1/users", JSON, b"{", 400, "malformed-json"),
    Case("user: nothing", "/v1/users", JSON, b"", 400, "malformed-json"),
    Case("user: nesting bomb", "/v1/users", JSON, BOMB, 400, "malformed-json"),
    Case("user: no UTF-8", "/v1/users", JSON, b'{"name":"\xff","email":"a@b.test"}', 400, "malformed-json"),
    Case(
        "user: lone surrogate",
        "/v1/users",
        JSON,
        b'{"name":"\\ud800","email":"a@b.test"}',
        400,
        "malformed-json",
    ),
    Case("user: form", "/v1/users", {"content-type": "text/plain"}, b"x", 415, "unsupported-media-type"),
    Case("user: no content type", "/v1/users", {}, b"{}", 415, "unsupported-media-type"),
    Case("user: two content types", "/v1/users", [*JSON.items()] * 2, b"{}", 415, "unsupported-media-type"),
    Case("user: a list", "/v1/users", JSON, [], 422, "invalid", "#"),
    Case("user: no name", "/v1/users", JSON, {"email": "a@b.test"}, 422, "invalid", "#/name"),
    user("user: empty name", "#/name", name=" "),
    user("user: NUL in the name", "#/name", name="A\0da"),
    user("user: line break in the name", "#/name", name="A\nda"),
    user("user: long name", "#/name", name="A" * 201),
    user("user: number as name", "#/name", name=1),
    user("user: huge number as name", "#/name", name=10**400),
    user("user: extra field", "#/role", role="admin"),
    user("user: field with a slash", "#/a~1b", **{"a/b": 1}),
    user("user: no address", "#/email", email="ada"),
    user("user: two addresses", "#/email", email="a@b.test,c@d.test"),
    user("user: NUL in the address", "#/email", email="a\0@b.test"),
    user("user: long address", "#/email", email="a" * 250 + "@b.test"),
    mail("mail: nothing to say", "#", {"to": "a@b.test"}),
    mail("mail: two kinds of content", "#", MAIL | {"template": "welcome"}),
    mail("mail: template with a path", "#/template", {"to": "a@b.test", "template": "../x"}),
    mail("mail: line break in the subject", "#/subject", MAIL | {"subject": "a\nBcc: b"}),
    mail("mail: no address", "#/to", MAIL | {"to": "Ada <ada@example.com>"}),
    mail("mail: object as field", None, {"to": "a@b.test", "template": "w", "fields": {"a": {}}}),
    header("event: no id", "#/ce-id", ce_id=None),
    header("event: empty id", "#/ce-id", ce_id=""),
    header("event: no source", "#/ce-source", ce_source=None),
    header("event: no type", "#/ce-type", ce_type=None),
    header("event: no specversion", "#/ce-specversion", ce_specversion=None),
    header("event: other specversion", "#/ce-specversion", ce_specversion="0.3"),
    header("event: datacontenttype", "#/ce-datacontenttype", ce_datacontenttype="application/json"),
    header("event: type with a space", "#/ce-type", ce_type="user%20registered"),
    header("event: overlong UTF-8", "#/ce-subject", ce_subject="%C0%A0"),
    header("event: NUL", "#/ce-subject", ce_subject="%00"),
    header("event: no time", "#/ce-time", ce_time="yesterday"),
    header("event: time without offset", "#/ce-time", ce_time="2026-11-22T06:00:00"),
    header("event: huge id", "#/ce-id", ce_id="a" * 5000),
    header("event: odd extension", "#/ce-trace-parent", ce_trace_parent="x"),
    Case(
        "event: id twice",
        "/v1/events",
        [*binary().items(), ("ce-id", "b")],
        ADA,
        400,
        "invalid-event",
        "#/ce-id",
    ),
    Case(
        "event: content type twice",
        "/v1/events",
        [*binary().items(), ("content-type", "text/plain")],
        ADA,
        400,
        "invalid-event",
        "#/content-type",
    ),
    Case("event: unknown type", "/v1/events", binary(ce_type="user.forgotten"), ADA, 422, "unknown-type"),
    Case("event: other data", "/v1/events", binary(content_type="text/csv"), b"a,b", 422, "invalid-data"),
    data("data: no JSON", "#", b"{"),
    data("data: nothing", "#", b""),
    data("data: nesting bomb", "#", BOMB),
    data("data: no UTF-8", "#", b'{"user_id":"\xff"}'),
    data("data: no name", "#/name", {"user_id": "1", "email": "a@b.test"}),
    data("data: NUL", "#/name", ADA | {"name": "\0"}),
    data("data: boolean as text", "#/name", ADA | {"name": True}),
    Case("structured: no JSON", "/v1/events", STRUCTURED, b"{", 400, "invalid-event", "#"),
    Case("structured: a list", "/v1/events", STRUCTURED, [], 400, "invalid-event", "#"),
    Case("structured: nesting bomb", "/v1/events", STRUCTURED, b'{"data":' + BOMB, 400, "invalid-event", "#"),
    Case("structured: no UTF-8", "/v1/events", STRUCTURED, b'{"id":"\xff"}', 400, "invalid-event"),
    Case("structured: no id", "/v1/events", STRUCTURED, structured(id=""), 400, "invalid-event", "#/id"),
    Case(
        "structured: no specversion",
        "/v1/events",
        STRUCTURED,
        structured(specversion=None),
        400,
        "invalid-event",
        "#/specversion",
    ),
    Case(
        "structured: object as id", "/v1/events", STRUCTURED, structured(id={}), 400, "invalid-event", "#/id"
    ),
    Case(
        "structured: huge number",
        "/v1/events",
        STRUCTURED,
        b'{"id":1' + b"0" * 5000 + b"}",
        400,
        "invalid-event",
    ),
    Case(
        "structured: two kinds of data",
        "/v1/events",
        STRUCTURED,
        structured(data_base64="e30="),
        400,
        "invalid-event",
        "#/data_base64",
    ),
    Case(
        "structured: faulty data",
        "/v1/events",
        STRUCTURED,
        structured(data=ADA | {"email": "x"}),
        422,
        "invalid-data",
        "#/data/email",
    ),
    Case(
        "structured: other format",
        "/v1/events",
        {"content-type": "application/cloudevents+xml"},
        b"<a/>",
        415,
        "unsupported-media-type",
    ),
    Case(
        "structured: other charset",
        "/v1/events",
        {"content-type": STRUCTURED_TYPE + "; charset=utf-16"},
        b"{}",
        415,
        "unsupported-media-type",
    ),
    Case("batch: no list", "/v1/events", BATCH, {}, 400, "invalid-event", "#"),
    Case("batch: empty", "/v1/events", BATCH, [], 400, "invalid-event"),
    Case("batch: too many", "/v1/events", BATCH, [structured()] * 1001, 400, "invalid-event"),
    Case("batch: numbers", "/v1/events", BATCH, [1], 400, "invalid-event", "#/0"),
    Case(
        "batch: no id", "/v1/events", BATCH, [structured(), structured(id="")], 400, "invalid-event", "#/1/id"
    ),
    Case("nothing there", "/v1/nothing", JSON, {}, 404, "not-found"),
    Case("other method", "/v1/users/1", JSON, {}, 405, "method-not-allowed"),
    Case("too large", "/v1/users", JSON, b" " * (1024 * 1024 + 1), 413, "body-too-large"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(servers: Servers, migrated: str) -> AsyncIterator[AsyncClient]:
    """One door for the whole table: none of it gets as far as the ledger."""
    with own_database(servers, migrated) as database_url:
        settings = GatewaySettings(
            redis_url=Secret(servers.redis.url),
            database_url=Secret(database_url),
            api_keys=ApiKeys.parse(KEYS),
            buses="redis",
        )
        async with served(settings) as client:
            yield client


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_nonsense_gets_a_problem_that_points_to_it(case: Case, door: AsyncClient) -> None:
    body = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()

    answer = await door.post(case.path, content=body, headers=case.headers)

    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["type"]) == (
        case.status,
        case.status,
        f"/problems/{case.type}",
    )
    assert problem["trace_id"] == answer.headers["x-trace-id"]
    assert problem["instance"] == case.path
    if case.pointer is not None:
        assert case.pointer in [error["pointer"] for error in problem["errors"]]


async def test_an_unknown_type_is_told_which_are_known(client: AsyncClient) -> None:
    answer = await client.post("/v1/events", json=ADA, headers=binary(ce_type="user.forgotten"))

    assert "user.registered" in answer.json()["known"]


async def test_an_event_that_no_bus_would_take_is_refused(client: AsyncClient, query: Query) -> None:
    mail = {"email_id": "1", "to": "a@b.test", "subject": "s", "text": "ß" * 199_000, "html": "ß" * 199_000}
    body = json.dumps(mail, ensure_ascii=False).encode() + b" " * 250_000

    answer = await client.post("/v1/events", content=body, headers=binary(ce_type="email.requested"))

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/event-too-large")
    assert await query("SELECT FROM gateway.events") == []


async def test_a_body_without_length_is_counted_as_it_comes(client: AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    answer = await client.post("/v1/users", content=endless(), headers=JSON)

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")


async def test_a_method_that_is_not_allowed_is_told_which_are(client: AsyncClient) -> None:
    answer = await client.delete("/v1/users/1")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_each_type_of_problem_has_its_page(client: AsyncClient) -> None:
    kinds = (await client.get("/problems")).json()["items"]

    for kind in kinds:
        page = await client.get(kind["type"], headers={"accept": "text/html"})
        assert page.status_code == 200
        assert escape(kind["title"]) in page.text
        assert (await client.get(kind["type"])).json() == kind
    assert (await client.get("/problems/none")).json()["type"] == "/problems/not-found"
