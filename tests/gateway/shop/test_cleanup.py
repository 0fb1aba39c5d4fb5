"""What is old goes, and only that: settled events with their jobs, completed groups, old audit lines."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.cleanup import Cleanup
from gateway.handlers import cleanup
from shared.clock import SystemClock
from shared.contracts import CleanupDue, new_id
from tests.gateway.shop.conftest import Query, a_job

MONTH = timedelta(days=30)

EVENTS = """
    INSERT INTO gateway.events (id, type, source, attributes, data, accepted_at, published_at, settled_at)
    SELECT gen_random_uuid(), $1, '/test', '{}', ''::bytea, now() - $2::interval, now() - $2::interval,
        CASE WHEN $3 THEN now() - $2::interval END
    FROM generate_series(1, $4) RETURNING id
"""
JOBS = """
    INSERT INTO gateway.jobs (id, handler, service, event_id, event_type, state, attempt, max_attempts,
        queued_at, finished_at, position)
    SELECT 'h:' || id, 'h', 's', id, 't', 'succeeded', 1, 1, now() - $2::interval, now() - $2::interval, 1
    FROM unnest($1::uuid[]) AS id
"""


async def events(query: Query, type_: str, age: timedelta, *, settled: bool, count: int = 1) -> list[object]:
    rows = await query(EVENTS, type_, age, settled, count)
    ids = [row["id"] for row in rows]
    await query(JOBS, ids, age)
    return ids


def sweeping(engine: AsyncEngine) -> Cleanup:
    return Cleanup(engine, events_kept=MONTH, audit_kept=MONTH, batch=10)


async def test_settled_events_go_with_their_jobs_when_their_time_is_over(
    engine: AsyncEngine, query: Query
) -> None:
    old, young = timedelta(days=31), timedelta(days=29)
    await events(query, "old", old, settled=True, count=25)
    await events(query, "open", timedelta(days=300), settled=False, count=15)
    await events(query, "young", young, settled=True, count=3)

    removed = await sweeping(engine).run()

    assert (removed["events"], removed["jobs"]) == (25, 25)
    left = await query("SELECT type, count(*) FROM gateway.events GROUP BY type ORDER BY type")
    assert [tuple(row) for row in left] == [("open", 15), ("young", 3)]
    [row] = await query("SELECT count(*) FROM gateway.jobs")
    assert row[0] == 18


async def test_an_event_that_settled_late_stays_for_its_time(engine: AsyncEngine, query: Query) -> None:
    await events(query, "late", timedelta(days=300), settled=True)
    await query("UPDATE gateway.events SET settled_at = now()")

    assert (await sweeping(engine).run())["events"] == 0


async def test_an_event_that_an_open_group_still_counts_stays(engine: AsyncEngine, query: Query) -> None:
    [event_id] = await events(query, "member", timedelta(days=31), settled=True)
    for group_id, completed in ((new_id(), False), (new_id(), True)):
        await query(
            "INSERT INTO gateway.groups (id, members, then_event, completed_at)"
            " VALUES ($1, 1, '', CASE WHEN $2 THEN now() - interval '31 days' END)",
            group_id,
            completed,
        )
        await query(
            "INSERT INTO gateway.group_members VALUES ($1, $2, $3)",
            group_id,
            event_id,
            False if completed else None,
        )

    first = await sweeping(engine).run()
    await query("UPDATE gateway.group_members SET failed = false")
    second = await sweeping(engine).run()

    assert (first["events"], first["groups"]) == (0, 1)
    assert (second["events"], second["groups"]) == (1, 0)


async def test_jobs_without_an_event_old_audit_lines_and_expired_answers_go(
    engine: AsyncEngine, query: Query
) -> None:
    for age in (timedelta(days=31), timedelta(days=1)):
        await query(JOBS, [new_id() for _ in range(12)], age)
        await query(
            "INSERT INTO gateway.audit (at, actor, action, target)"
            " VALUES (now() - $1::interval, 'a', 'b', 'c')",
            age,
        )
        await query(
            "INSERT INTO gateway.idempotency_keys"
            " (principal, key, fingerprint, status, headers, body, expires_at)"
            " VALUES ('', $1, '', 200, '[]', '', now() + interval '2 days' - $2::interval)",
            str(age),
            age,
        )

    removed = await sweeping(engine).run()

    assert removed == {"events": 0, "jobs": 12, "groups": 0, "answers": 1, "audit": 1, "minutes": 0}
    for table, left in (("jobs", 12), ("audit", 1), ("idempotency_keys", 1)):
        [row] = await query(f"SELECT count(*) FROM gateway.{table}")  # noqa: S608 - our own table's name
        assert (table, row[0]) == (table, left)


async def test_figures_of_jobs_go_after_a_week(engine: AsyncEngine, query: Query) -> None:
    await query(
        "INSERT INTO gateway.job_minutes"
        " SELECT date_trunc('minute', now()) - age, 'h', '1', 1, 0, 0, 1, 1"
        " FROM unnest($1::interval[]) AS age",
        [timedelta(days=days, minutes=minute) for days in (6, 7, 8, 300) for minute in range(1, 31)],
    )

    removed = await sweeping(engine).run()

    assert removed["minutes"] == 90
    [row] = await query("SELECT count(*), min(minute) > now() - interval '7 days' FROM gateway.job_minutes")
    assert tuple(row) == (30, True)


async def test_rows_that_somebody_works_on_are_left_for_the_next_time(
    engine: AsyncEngine, query: Query
) -> None:
    [busy, _] = await events(query, "old", timedelta(days=31), settled=True, count=2)
    async with engine.connect() as connection:
        await connection.exec_driver_sql("SELECT FROM gateway.events WHERE id = $1 FOR UPDATE", (busy,))
        first = await sweeping(engine).run()

    second = await sweeping(engine).run()

    assert (first["events"], second["events"]) == (1, 1)


async def test_the_tick_of_the_scheduler_cleans_up_and_the_counts_are_the_result(
    engine: AsyncEngine, query: Query
) -> None:
    await events(query, "old", timedelta(days=31), settled=True, count=2)
    tick = CleanupDue(schedule="cleanup", tick=SystemClock().now())

    result = await cleanup(tick, a_job(tick, "gateway.cleanup"), sweeping(engine))

    assert result == {"events": 2, "jobs": 2, "groups": 0, "answers": 0, "audit": 0, "minutes": 0}
