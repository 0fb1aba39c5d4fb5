"""Nonsense for POST /v1/jobs: each kind has a status, a stable type and a pointer."""

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from httpx import AsyncClient

from gateway.door.keys import ApiKeys
from gateway.settings import GatewaySettings
from shared.bus.redis_streams import connect as connect_redis
from shared.settings import Secret
from tests.conftest import Servers, own_database
from tests.gateway.door.conftest import KEYS, served
from tests.gateway.door.jobs import JOB, MAIL, UNIQUE, problem, register


class Case(NamedTuple):
    body: Any
    status: int
    type: str
    pointer: str | None


CASES = [
    Case(b"{", 400, "malformed-json", None),
    Case(b"[" * 100_000, 400, "malformed-json", None),
    Case(b'{"handler":"email.send","data":{"a":NaN}}', 400, "malformed-json", None),
    Case(b'{"handler":"email.send","data":{"a":"\\ud800"}}', 400, "malformed-json", None),
    Case(b"[]", 422, "invalid", "#"),
    Case({"data": MAIL}, 422, "invalid", "#/handler"),
    Case({"handler": "email.send"}, 422, "invalid", "#/data"),
    Case(JOB | {"data": [1]}, 422, "invalid", "#/data"),
    Case(JOB | {"data": None}, 422, "invalid", "#/data"),
    Case(JOB | {"handler": 7}, 422, "invalid", "#/handler"),
    Case(JOB | {"handler": "email.sned"}, 422, "unknown-handler", "#/handler"),
    Case(JOB | {"handler": ""}, 422, "unknown-handler", "#/handler"),
    Case(JOB | {"handler": "a\0b"}, 422, "unknown-handler", "#/handler"),
    Case(JOB | {"priority": 1}, 422, "invalid", "#/priority"),
    Case(JOB | {"data": {}}, 422, "invalid-data", "#/data/email_id"),
    Case(JOB | {"data": MAIL | {"to": "nobody"}}, 422, "invalid-data", "#/data/to"),
    Case(JOB | {"data": MAIL | {"email_id": 10**400}}, 422, "invalid-data", "#/data/email_id"),
    Case({"handler": "email.hear", "data": {}}, 422, "unknown-type", None),
    Case(JOB | {"deliver_at": "tomorrow"}, 422, "invalid", "#/deliver_at"),
    Case(JOB | {"deliver_at": "2026-11-22T06:00:00"}, 422, "invalid", "#/deliver_at"),
    Case(JOB | {"deliver_at": 1764000000}, 422, "invalid", "#/deliver_at"),
    Case(JOB | {"deliver_at": "0001-01-01T00:00:00+14:00"}, 422, "invalid", "#/deliver_at"),
    Case(JOB | {"expires_at": "2026-13-22T06:00:00Z"}, 422, "invalid", "#/expires_at"),
    Case(
        JOB | {"deliver_at": "2026-11-22T06:00:00Z", "expires_at": "2026-11-22T07:00:00+01:00"},
        422,
        "invalid",
        "#/expires_at",
    ),
    Case(JOB | {"unique_key": ""}, 422, "invalid", "#/unique_key"),
    Case(JOB | {"unique_key": "a\nb"}, 422, "invalid", "#/unique_key"),
    Case(JOB | {"unique_key": "a" * 256}, 422, "invalid", "#/unique_key"),
    Case(JOB | {"unique_key": 7}, 422, "invalid", "#/unique_key"),
    Case(JOB | {"unique_for": 60}, 422, "invalid", "#/unique_for"),
    Case(UNIQUE | {"unique_for": 0}, 422, "invalid", "#/unique_for"),
    Case(UNIQUE | {"unique_for": -1}, 422, "invalid", "#/unique_for"),
    Case(UNIQUE | {"unique_for": "60"}, 422, "invalid", "#/unique_for"),
    Case(UNIQUE | {"unique_for": 1e300}, 422, "invalid", "#/unique_for"),
    Case(UNIQUE | {"unique_for": 30 * 86400 + 1}, 422, "invalid", "#/unique_for"),
    Case(JOB | {"id": ""}, 422, "invalid", "#/id"),
    Case(JOB | {"id": "a\0"}, 422, "invalid", "#/id"),
    Case(JOB | {"id": "a" * 256}, 422, "invalid", "#/id"),
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
        redis = connect_redis(settings.redis_url)
        await register(redis)
        await redis.aclose()
        async with served(settings) as client:
            yield client


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
async def test_nonsense_is_refused_with_its_kind_and_place(case: Case, door: AsyncClient) -> None:
    content = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()

    answer = await door.post("/v1/jobs", content=content, headers={"content-type": "application/json"})

    assert problem(answer) == (case.status, case.type), answer.text
    if case.pointer is not None:
        assert case.pointer in [error["pointer"] for error in answer.json()["errors"]]
