"""POST routes with an Idempotency-Key: how each is asked, and what it has left in the database."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import pytest
from httpx import AsyncClient, Response

from shared.contracts import BATCH_TYPE, STRUCTURED_TYPE
from tests.gateway.door.conftest import Query
from tests.gateway.door.events import ADA, binary, structured

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
