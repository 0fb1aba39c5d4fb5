"""Schedules fire: each tick is one row and one event; what is late or skipped is a row with its cause."""

import asyncio
from datetime import timedelta
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from launcher.servers import RedisServer
from scheduler.handlers import Keeping, cleanup
from scheduler.settings import SchedulerSettings
from shared.contracts import CleanupDue, HealthCheckDue
from shared.jobs import Handlers
from shared.schedules import book
from shared.service import Service
from shared.settings import Secret
from tests.scheduler.conftest import Enter, Query, published, running
from tests.until import until

SECOND = timedelta(seconds=1)


async def test_each_tick_is_one_row_and_one_event_that_begins_a_trace(
    settings: SchedulerSettings, enter: Enter, query: Query, redis_url: str
) -> None:
    await enter(every="1s")

    async def three() -> bool:
        return len(await published(redis_url)) >= 3

    async with running(settings):
        await until(three)

    ticks = await query("SELECT * FROM scheduler.ticks ORDER BY tick")
    assert await published(redis_url) == [str(tick["event_id"]) for tick in ticks]
    assert all(tick["published_at"] for tick in ticks)
    assert [tick["tick"] for tick in ticks] == [ticks[0]["tick"] + n * SECOND for n in range(len(ticks))]
    assert await query("SELECT FROM scheduler.outbox WHERE published_at IS NULL") == []


async def test_ticks_that_were_missed_are_rows_with_cause_and_decision(
    settings: SchedulerSettings, enter: Enter, query: Query, redis_url: str
) -> None:
    for policy in ("skip", "fire_once", "fire_all"):
        await enter(policy, misfire=policy, catch_up="2h", missed=timedelta(hours=4))

    async def decided() -> bool:
        return len(await query("SELECT FROM scheduler.ticks")) == 12

    async def sent() -> bool:
        return len(await published(redis_url)) == 3

    async with running(settings):
        await until(decided)
        await until(sent)

    rows = await query(
        "SELECT schedule, cause, fired, decided_at > due_at AS late FROM scheduler.ticks ORDER BY tick"
    )
    assert {
        name: [row["cause"] for row in rows if row["schedule"] == name]
        for name in ("skip", "fire_once", "fire_all")
    } == {
        "skip": ["missed"] * 4,
        "fire_once": ["too_late", "too_late", "superseded", "late"],
        "fire_all": ["too_late", "too_late", "late", "late"],
    }
    assert all(row["late"] for row in rows)
    assert [row["fired"] for row in rows] == [row["cause"] == "late" for row in rows]
    assert await query("SELECT FROM scheduler.schedules WHERE next_at <= now()") == []


async def test_a_paused_schedule_skips_its_ticks_and_goes_on_when_it_is_resumed(
    settings: SchedulerSettings, enter: Enter, query: Query, engine: AsyncEngine
) -> None:
    await enter(every="1s")
    async with engine.begin() as connection:
        await book.pause(connection, "often", "not now")

    async def last(cause: str) -> bool:
        rows = await query("SELECT cause FROM scheduler.ticks ORDER BY tick DESC LIMIT 1")
        return bool(rows) and rows[0]["cause"] == cause

    async with running(settings):
        await until(lambda: last("paused"))
        async with engine.begin() as connection:
            paused = await book.find(connection, "often", to_edit=True)
            assert paused is not None
            await book.resume(connection, paused)
        await until(lambda: last("on_time"))

    assert {row["cause"] for row in await query("SELECT cause FROM scheduler.ticks")} == {"paused", "on_time"}


async def test_no_tick_fires_while_a_job_of_the_one_before_runs(
    settings: SchedulerSettings, enter: Enter, query: Query
) -> None:
    handlers, may_end = Handlers("lab"), asyncio.Event()

    @handlers.on(HealthCheckDue)
    async def work(_: HealthCheckDue) -> None:
        await may_end.wait()

    async def told(cause: str, count: int) -> bool:
        return len(await query("SELECT FROM scheduler.ticks WHERE cause = $1", cause)) >= count

    service = Service("lab", handlers, settings)
    await service.start()
    try:
        await enter(every="1s", overlap="skip")
        async with running(settings):
            await until(lambda: told("overlap", 2))
            assert await told("on_time", 1)
            assert not await told("on_time", 2)
            may_end.set()
            await until(lambda: told("on_time", 2))
    finally:
        may_end.set()
        await service.stop()


async def test_while_redis_is_away_ticks_are_claimed_and_wait_in_the_outbox(
    settings: SchedulerSettings, enter: Enter, query: Query, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path / "redis", durable=False)
    await server.start()
    url = server.url
    await server.stop()
    await enter(every="1s")

    async def waiting() -> bool:
        return len(await query("SELECT FROM scheduler.outbox WHERE published_at IS NULL")) >= 2

    async def all_published() -> bool:
        return not await query("SELECT FROM scheduler.ticks WHERE published_at IS NULL")

    try:
        async with running(settings.model_copy(update={"redis_url": Secret(url)})):
            await until(waiting)
            await server.start()
            await until(all_published)
            ticks = await query("SELECT cause, event_id FROM scheduler.ticks WHERE published_at IS NOT NULL")
            sent = await published(url)
    finally:
        await server.delete()

    assert {tick["cause"] for tick in ticks} == {"on_time"}
    assert len(sent) == len(set(sent))
    assert {str(tick["event_id"]) for tick in ticks} <= set(sent)


async def test_an_edit_and_an_end_are_heeded(
    settings: SchedulerSettings, enter: Enter, query: Query, engine: AsyncEngine
) -> None:
    await enter()

    async def fired() -> bool:
        return bool(await query("SELECT FROM scheduler.ticks WHERE fired"))

    async with running(settings):
        async with engine.begin() as connection:
            entry = await book.find(connection, "often", to_edit=True)
            assert entry is not None
            sooner = entry.definition.model_copy(update={"every": SECOND})
            await book.edit(connection, entry, sooner)
        await until(fired)


async def test_a_schedule_whose_data_fit_their_contract_no_more_is_skipped_and_told(
    settings: SchedulerSettings, enter: Enter, query: Query
) -> None:
    await enter(missed=timedelta(hours=1))
    await query("UPDATE scheduler.schedules SET type = 'user.registered'")

    async def told() -> bool:
        return bool(await query("SELECT FROM scheduler.ticks"))

    async with running(settings):
        await until(told)

    [tick] = await query("SELECT cause, fired, detail FROM scheduler.ticks")
    assert (tick["cause"], tick["fired"]) == ("invalid", False)
    assert "user_id" in tick["detail"]


async def test_a_schedule_of_a_zone_that_is_gone_is_paused_and_holds_up_no_other(
    settings: SchedulerSettings, enter: Enter, query: Query, engine: AsyncEngine
) -> None:
    await enter("lost", missed=timedelta(hours=1))
    await enter("other", missed=timedelta(hours=1))
    await query("UPDATE scheduler.schedules SET timezone = 'Europe/Atlantis' WHERE name = 'lost'")

    async def told() -> bool:
        return bool(await query("SELECT FROM scheduler.ticks WHERE schedule = 'other'"))

    async with running(settings):
        await until(told)

    async with engine.begin() as connection:
        lost = await book.find(connection, "lost", to_edit=True)
        assert lost is not None
        assert (lost.status, "Europe/Atlantis" in (lost.note or "")) == ("paused", True)
    await query("UPDATE scheduler.schedules SET timezone = 'UTC' WHERE name = 'lost'")
    async with engine.begin() as connection:
        corrected = await book.find(connection, "lost", to_edit=True)
        assert corrected is not None
        assert (await book.resume(connection, corrected)).status == "active"


async def test_cleanup_keeps_the_ledger_within_its_bounds(engine: AsyncEngine, query: Query) -> None:
    await query("""
        INSERT INTO scheduler.ticks (schedule, tick, type, cause, fired, due_at, decided_at)
        SELECT name, age.instant, 'cron.cleanup', 'missed', false, age.instant, age.instant
        FROM unnest('{a,b}'::text[]) AS name, generate_series(0, 9) AS days,
            LATERAL (SELECT now() - days * interval '1 day' AS instant) AS age
    """)

    [now] = await query("SELECT now() AS now")
    event = CleanupDue(schedule="cleanup", tick=now["now"])
    removed = await cleanup(event, engine, Keeping(timedelta(days=7, hours=1), 5))

    assert removed == {"ticks_removed": 10}
    left = await query("""
        SELECT schedule, count(*), max(now() - tick) < interval '5 days' AS young
        FROM scheduler.ticks GROUP BY schedule
    """)
    assert {(row["schedule"], row["count"], row["young"]) for row in left} == {("a", 5, True), ("b", 5, True)}
