"""Reports over HTTP: asked for, looked at, listed, fetched; and what is refused."""

import json
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.door.keys import ApiKeys
from gateway.handlers import handlers
from gateway.settings import GatewaySettings
from shared.contracts import CleanupDue, ReportFailed, ReportReady, new_id
from shared.db import connect
from shared.jobs import State
from shared.objects import Objects
from shared.settings import Secret
from shared.testing import Run
from tests.conftest import Servers, own_database
from tests.gateway.door.conftest import KEYS, served

# One gateway for all: each test asks for reports of its own.
pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODYS = "01a20619-0000-7000-8000-000000000000"
SUMMARY = {"kind": "orders_summary", "format": "pdf", "first_day": "2026-11-01", "last_day": "2026-11-22"}


@pytest.fixture(scope="module")
def settings(
    servers: Servers, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewaySettings]:
    with own_database(servers, migrated) as url:
        yield GatewaySettings(
            redis_url=Secret(servers.redis.url),
            database_url=Secret(url),
            files_url=Secret(tmp_path_factory.mktemp("files").as_uri()),
            api_keys=ApiKeys.parse(KEYS),
            buses="redis",
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(settings: GatewaySettings) -> AsyncGenerator[AsyncClient]:
    async with served(settings) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(settings: GatewaySettings) -> AsyncGenerator[AsyncEngine]:
    engine = connect(settings.database_url, service="gateway", pool_size=1)
    yield engine
    await engine.dispose()


@pytest.fixture
def objects(settings: GatewaySettings) -> Objects:
    return Objects(settings.files_url)


async def ask(client: AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/reports", json={**SUMMARY, **more})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def ready(report_id: str, **more: Any) -> ReportReady:
    values: dict[str, Any] = {
        "report_id": report_id,
        "kind": "orders_summary",
        "format": "pdf",
        "first_day": date(2026, 11, 1),
        "last_day": date(2026, 11, 22),
        "file_key": f"reports/{report_id}.pdf",
        "media_type": "application/pdf",
        "size_bytes": 8,
        "rows": 22,
        "name": "orders-summary-2026-11-01-2026-11-22.pdf",
    }
    return ReportReady.model_validate(values | more)


async def tell(engine: AsyncEngine, event: ReportReady | ReportFailed) -> bool:
    job = await Run(handlers)(event, engine=engine)
    assert job.state == State.SUCCEEDED
    return bool(job.result["changed"])


async def test_a_report_goes_from_requested_to_ready_and_is_fetched_under_a_speaking_name(
    client: AsyncClient, engine: AsyncEngine, objects: Objects
) -> None:
    answer = await client.post("/v1/reports", json=SUMMARY | {"email_to": "ada@example.com"})
    report = answer.json()
    where = answer.headers["Location"]
    assert (answer.status_code, where) == (202, f"/v1/reports/{report['id']}")
    before = await client.get(where)
    assert (before.json()["status"], before.json()["content"]) == ("requested", None)
    assert before.headers["Retry-After"] == "1"
    early = await client.get(f"{where}/content")
    assert (early.status_code, early.json()["type"]) == (409, "/problems/report-not-ready")

    await objects.put_bytes(f"reports/{report['id']}.pdf", b"%PDF-1.7")
    assert await tell(engine, ready(report["id"])) is True

    after = (await client.get(where)).json()
    assert (after["status"], after["rows"], after["size_bytes"]) == ("ready", 22, 8)
    content = await client.get(after["content"])
    assert content.content == b"%PDF-1.7"
    assert content.headers["Content-Type"] == "application/pdf"
    assert 'filename="orders-summary-2026-11-01-2026-11-22.pdf"' in content.headers["Content-Disposition"]
    again = await client.get(after["content"], headers={"If-None-Match": content.headers["ETag"]})
    assert again.status_code == 304


async def test_the_event_says_what_was_asked_for(client: AsyncClient) -> None:
    report = await ask(client, email_to="ada@example.com")

    event = (await client.get(f"/v1/events/{report['event_id']}")).json()

    assert event["type"] == "report.requested"
    data = event["data"] if isinstance(event["data"], dict) else json.loads(event["data"])
    assert {name: data[name] for name in (*SUMMARY, "email_to")} == SUMMARY | {"email_to": "ada@example.com"}
    assert data["report_id"] == report["id"]


async def test_an_unchanged_report_is_not_sent_again(client: AsyncClient) -> None:
    where = f"/v1/reports/{(await ask(client))['id']}"

    first = await client.get(where)
    second = await client.get(where, headers={"If-None-Match": first.headers["ETag"]})

    assert (second.status_code, second.content) == (304, b"")


async def test_a_report_that_failed_says_why_and_may_be_ready_later_but_not_the_other_way_round(
    client: AsyncClient, engine: AsyncEngine
) -> None:
    id_ = (await ask(client))["id"]
    failed = ReportFailed(report_id=id_, reason="it has more than 5 rows")

    assert await tell(engine, failed) is True
    first = (await client.get(f"/v1/reports/{id_}")).json()
    content = await client.get(f"/v1/reports/{id_}/content")
    assert (first["status"], first["reason"]) == ("failed", "it has more than 5 rows")
    assert (content.status_code, "more than 5 rows" in content.json()["detail"]) == (409, True)
    assert await tell(engine, ready(id_)) is True
    assert await tell(engine, failed) is False
    assert (await client.get(f"/v1/reports/{id_}")).json()["status"] == "ready"


async def test_a_report_whose_job_is_dead_has_failed_until_the_job_runs_again(
    client: AsyncClient, settings: GatewaySettings
) -> None:
    report = await ask(client)
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await connection.execute(
        """INSERT INTO gateway.jobs (id, handler, service, event_id, event_type, state, attempt, max_attempts,
                                     queued_at, position, failure)
           VALUES ($1, 'report.generate', 'report', $2::uuid, 'report.requested', 'dead', 3, 3, now(), 0,
                   E'ProcessDied: no memory left\\nexhausted')""",
        f"report.generate:{report['event_id']}",
        report["event_id"],
    )

    dead = (await client.get(f"/v1/reports/{report['id']}")).json()
    await connection.execute("UPDATE gateway.jobs SET state = 'running'")
    running = (await client.get(f"/v1/reports/{report['id']}")).json()
    await connection.close()

    assert (dead["status"], dead["reason"]) == ("failed", "its job is dead: ProcessDied: no memory left")
    assert (running["status"], running["reason"]) == ("requested", None)


async def test_a_report_of_a_schedule_is_listed_when_it_has_ended(
    client: AsyncClient, engine: AsyncEngine
) -> None:
    id_ = new_id()

    assert await tell(engine, ready(id_)) is True
    assert await tell(engine, ready(id_)) is False

    listed = (await client.get("/v1/reports", params={"kind": "orders_summary"})).json()["items"]
    assert (listed[0]["id"], listed[0]["status"], listed[0]["event_id"]) == (id_, "ready", None)


async def test_a_report_of_long_ago_is_forgotten(client: AsyncClient, engine: AsyncEngine) -> None:
    old, new = (await ask(client))["id"], (await ask(client))["id"]
    async with engine.begin() as connection:
        statement = "UPDATE gateway.reports SET requested_at = now() - interval '366 days' WHERE id = :id"
        await connection.execute(text(statement), {"id": old})

    tick = CleanupDue(schedule="cleanup", tick=datetime(2026, 11, 23, tzinfo=UTC))
    job = await Run(handlers)(tick, handler="cleanup_reports", engine=engine)

    assert job.result == {"removed": 1}
    assert (await client.get(f"/v1/reports/{old}")).status_code == 404
    assert (await client.get(f"/v1/reports/{new}")).status_code == 200


async def test_an_end_of_a_report_that_nobody_knows_changes_nothing(engine: AsyncEngine) -> None:
    assert await tell(engine, ReportFailed(report_id="stranger", reason="x")) is False


async def test_a_file_that_lies_elsewhere_is_not_given_out(
    client: AsyncClient, engine: AsyncEngine, objects: Objects
) -> None:
    await objects.put_bytes("files/f1/content", b"somebody's")
    id_ = (await ask(client))["id"]

    await tell(engine, ready(id_, file_key="files/f1/content"))

    assert (await client.get(f"/v1/reports/{id_}")).json()["status"] == "failed"
    assert (await client.get(f"/v1/reports/{id_}/content")).status_code == 409


async def test_a_file_that_was_removed_is_gone(client: AsyncClient, engine: AsyncEngine) -> None:
    id_ = (await ask(client))["id"]
    await tell(engine, ready(id_))

    answer = await client.get(f"/v1/reports/{id_}/content")

    assert (answer.status_code, answer.json()["type"]) == (410, "/problems/report-removed")


async def test_pages_follow_each_other_newest_first(client: AsyncClient) -> None:
    asked = [(await ask(client, kind="system_activity"))["id"] for _ in range(3)]
    found: list[str] = []
    cursor: str | None = None

    while True:
        params = {"kind": "system_activity", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/reports", params=params)).json()
        found += [report["id"] for report in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert found == asked[::-1]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"kind": "everything"}, "#/kind"),
        ({"format": "docx"}, "#/format"),
        ({"first_day": "yesterday"}, "#/first_day"),
        ({"first_day": 20261101}, "#/first_day"),
        ({"first_day": "2026-11-23"}, "#/last_day"),
        ({"first_day": "2025-11-01"}, "#/last_day"),
        ({"first_day": "0001-01-01", "last_day": "0001-01-01"}, "#/first_day"),
        ({"first_day": "9999-12-31", "last_day": "9999-12-31"}, "#/last_day"),
        ({"kind": "customer_statement"}, "#/user_id"),
        ({"kind": "customer_statement", "user_id": "nobody"}, "#/user_id"),
        ({"kind": "customer_statement", "user_id": new_id()}, "#/user_id"),
        ({"user_id": new_id()}, "#/user_id"),
        ({"email_to": "ada"}, "#/email_to"),
        ({"colour": "red"}, "#/colour"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_with_a_pointer(
    client: AsyncClient, change: dict[str, Any], pointer: str
) -> None:
    answer = await client.post("/v1/reports", json={**SUMMARY, **change})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_statement_is_for_a_user_who_exists(client: AsyncClient) -> None:
    user = (await client.post("/v1/users", json={"name": "Ada", "email": "ada@example.com"})).json()

    report = await ask(client, kind="customer_statement", user_id=user["id"])

    assert report["user_id"] == user["id"]


async def test_a_keyed_request_is_answered_once(client: AsyncClient) -> None:
    key = {"Idempotency-Key": '"report-1"'}

    first, second = [await client.post("/v1/reports", json=SUMMARY, headers=key) for _ in range(2)]

    assert first.json()["id"] == second.json()["id"]
    assert second.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("path", [NOBODYS, "no-uuid", "%00", f"{NOBODYS}/content"])
async def test_an_unknown_report_is_not_found(client: AsyncClient, path: str) -> None:
    assert (await client.get(f"/v1/reports/{path}")).status_code == 404


async def test_reading_and_asking_need_their_keys(client: AsyncClient) -> None:
    reader = {"Authorization": "Bearer only-read"}

    assert (await client.post("/v1/reports", json=SUMMARY, headers=reader)).status_code == 403
    assert (await client.get("/v1/reports", headers={"Authorization": ""})).status_code == 401
    assert (await client.get("/v1/reports", headers=reader)).status_code == 200
