"""Statements as spans: named by operation and table, under the work that they belong to, without values."""

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.db import connect
from shared.settings import Secret
from shared.telemetry import Tracing, trace_statements
from shared.telemetry.sql import summary_of

if TYPE_CHECKING:
    from tests.otlp_receiver import OtlpReceiver


@pytest.mark.parametrize(
    ("statement", "summary"),
    [
        ("SELECT id FROM gateway.orders WHERE id = $1", ("SELECT", "gateway.orders")),
        ("SELECT 1", ("SELECT", "")),
        ("  insert", ("INSERT", "")),
        ("INSERT INTO gateway.users (id) VALUES ($1) RETURNING *", ("INSERT", "gateway.users")),
        ("UPDATE stock SET available = available - 1", ("UPDATE", "stock")),
        ("DELETE FROM inbox WHERE at < $1", ("DELETE", "inbox")),
        (
            "WITH due AS (SELECT id FROM events FOR UPDATE SKIP LOCKED) UPDATE events SET x = 1 FROM due",
            ("UPDATE", "events"),
        ),
        ("SELECT id FROM jobs ORDER BY id FOR UPDATE SKIP LOCKED", ("SELECT", "jobs")),
    ],
)
def test_a_statement_is_told_by_what_it_does_to_which_table(statement: str, summary: tuple[str, str]) -> None:
    assert summary_of(statement) == summary


async def test_a_statement_is_a_span_under_its_request_and_outside_of_any_trace_it_is_none(
    tracing: Tracing, collector: "OtlpReceiver", database_url: str
) -> None:
    engine = connect(Secret(database_url), service="gateway")
    trace_statements(engine.sync_engine, tracing)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT id FROM gateway.users WHERE name = 'nobody at all'"))
            with tracing.request("GET", "/somewhere") as request:
                await connection.execute(text("SELECT id FROM gateway.events WHERE id IS NULL"))
                with pytest.raises(DBAPIError):
                    await connection.execute(text("SELECT 1 / 0 FROM gateway.users"))
                await connection.rollback()
                await connection.execute(text("SELECT 'a value' FROM gateway.jobs"))
    finally:
        await engine.dispose()
    await tracing.close()

    spans = {span.name: span for span in collector.spans}
    assert spans.keys() == {"GET", "SELECT gateway.events", "SELECT gateway.users", "SELECT gateway.jobs"}
    good, bad = spans["SELECT gateway.events"], spans["SELECT gateway.users"]
    assert good.parent_id == bad.parent_id == request.traceparent[36:52] == spans["GET"].span_id
    assert good.attributes == {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
        "db.collection.name": "gateway.events",
        "db.query.summary": "SELECT gateway.events",
    }
    assert bad.failed
    assert not good.failed
    assert spans["SELECT gateway.jobs"].parent_id == good.parent_id
