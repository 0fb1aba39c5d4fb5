"""The figures of each minute: each end and each failed attempt counts once, however often it is recorded."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger.recorder import Recorder
from shared.contracts import new_id
from shared.jobs import JobLog, JobReader, Registry
from tests.gateway.history.stand_in import WELCOME, Workers, rows
from tests.gateway.history.test_recorder import record

NOT = timedelta(milliseconds=1)
NOW_MS = round(datetime.now(UTC).timestamp() * 1000)


@pytest.fixture
def recorders(job_log: JobLog, reader: JobReader, registry: Registry, engine: AsyncEngine) -> list[Recorder]:
    """Two that do nothing by themselves, so that the test decides who does what when."""
    return [Recorder(job_log, reader, registry, engine) for _ in range(2)]


async def sums(engine: AsyncEngine) -> tuple[int, ...]:
    """How many succeeded, died, and attempts that were retried, over all minutes."""
    names = ("succeeded", "dead", "retried")
    figures = await rows(engine, "SELECT succeeded, dead, retried FROM gateway.job_minutes")
    return tuple(sum(row[name] for row in figures) for name in names)


def failed(*instants_ms: int, version: str = "1") -> bytes:
    attempts = [
        {"attempt": n, "worker": "w1", "version": version, "started_at": ms - 40, "finished_at": ms}
        for n, ms in enumerate(instants_ms, 1)
    ]
    return "\n".join(json.dumps(attempt) for attempt in attempts).encode()


async def last_entry(job_log: JobLog) -> Any:
    return (await job_log.read("0-0", block=NOT))[-1]


async def test_a_batch_that_is_recorded_twice_counts_once(
    workers: Workers, engine: AsyncEngine, job_log: JobLog, recorders: list[Recorder]
) -> None:
    await workers.write(
        new_id(), "succeeded", finished_at=str(NOW_MS), attempts=failed(NOW_MS - 900, NOW_MS - 500)
    )
    entry = await last_entry(job_log)

    for recorder in (*recorders, *recorders):
        await record(recorder, entry)

    assert await sums(engine) == (1, 0, 2)


async def test_jobs_that_several_recorders_write_at_once_count_once(
    workers: Workers, engine: AsyncEngine, recorders: list[Recorder]
) -> None:
    ids = [new_id() for _ in range(60)]
    jobs = [f"{WELCOME}:{event_id}" for event_id in ids]
    for event_id in ids:
        await workers.write_hash(event_id, "retrying", attempts=failed(NOW_MS - 900))
    await asyncio.gather(*(recorder.record(jobs) for recorder in recorders * 2))
    assert await sums(engine) == (0, 0, 60)

    for event_id in ids:
        await workers.write_hash(
            event_id, "dead", finished_at=str(NOW_MS), attempts=failed(NOW_MS - 900, NOW_MS)
        )
    await asyncio.gather(*(recorder.record(jobs) for recorder in recorders * 2))

    assert await sums(engine) == (0, 60, 60)


async def test_a_job_that_is_run_again_ends_again(
    workers: Workers, engine: AsyncEngine, job_log: JobLog, recorders: list[Recorder]
) -> None:
    event_id, attempts = new_id(), failed(NOW_MS - 900, NOW_MS - 500)
    await workers.write(event_id, "dead", finished_at=str(NOW_MS - 500), attempts=attempts)
    await record(recorders[0], await last_entry(job_log))
    await workers.write(event_id, "succeeded", finished_at=str(NOW_MS), attempts=attempts)
    await record(recorders[0], await last_entry(job_log))

    assert await sums(engine) == (1, 1, 1)


async def test_what_redis_forgot_meanwhile_is_not_counted_again(
    workers: Workers, engine: AsyncEngine, job_log: JobLog, recorders: list[Recorder], redis: Any
) -> None:
    event_id = new_id()
    entry_id = await workers.tell([(event_id, "succeeded", 1)])
    await workers.write_hash(event_id, "succeeded", finished_at=entry_id.partition("-")[0])
    entry = await last_entry(job_log)
    await record(recorders[0], entry)
    await redis.delete(f"job:{{{WELCOME}}}:{event_id}")

    await record(recorders[1], entry)

    assert await sums(engine) == (1, 0, 0)


async def test_jobs_that_are_neither_done_nor_dead_are_in_no_figure(
    workers: Workers, engine: AsyncEngine, job_log: JobLog, recorders: list[Recorder]
) -> None:
    for state in ("running", "queued", "cancelled", "expired"):
        await workers.write(new_id(), state)
        await record(recorders[0], await last_entry(job_log))

    assert await sums(engine) == (0, 0, 0)


async def test_figures_are_shown_by_minute_handler_and_version(
    client: AsyncClient, workers: Workers, job_log: JobLog, recorders: list[Recorder]
) -> None:
    now_ms = round(datetime.now(UTC).timestamp() * 1000)
    for run_ms in (10, 100, 100):
        began = str(now_ms - run_ms)
        await workers.write(
            str(uuid4()),  # which does not tell when it was made
            "succeeded",
            queued_at=str(now_ms - run_ms - 1000),
            started_at=began,
            finished_at=str(now_ms),
            version="2",
        )
        await record(recorders[0], await last_entry(job_log))
    ended_ms = now_ms - 120_000
    await workers.write(
        new_id(),
        "dead",
        handler="report.daily",
        started_at=str(ended_ms - 200),
        finished_at=str(ended_ms),
        attempts=failed(ended_ms - 5_000, ended_ms, version="1"),
        version="1",
    )
    await record(recorders[0], await last_entry(job_log))

    found = (await client.get("/v1/figures", params={"minutes": 10})).json()
    one = (await client.get("/v1/figures", params={"handler": "report.daily", "minutes": 10})).json()

    assert (found["step_s"], len(found["all"]["succeeded"])) == (60, 10)
    assert found["all"]["total"] | {"wait_p50_ms": 0, "wait_p95_ms": 0} == {
        "succeeded": 3,
        "dead": 1,
        "retried": 1,
        "wait_p50_ms": 0,
        "wait_p95_ms": 0,
        "run_p50_ms": pytest.approx(100, rel=0.1),
        "run_p95_ms": pytest.approx(200, rel=0.1),
    }
    mail, report = found["handlers"]
    assert (mail["handler"], mail["service"]) == (WELCOME, "email")
    assert sum(mail["succeeded"]) == 3
    assert mail["total"]["wait_p50_ms"] == pytest.approx(1000, rel=0.1)
    assert mail["versions"] == [{"version": "2", "ended": 3, "failed": 0}]
    assert report["versions"] == [{"version": "1", "ended": 1, "failed": 2}]
    assert [n for n in report["run_p50_ms"] if n is not None] != []
    assert (one["handlers"], one["all"]["total"]["dead"]) == ([report], 1)
    assert (await client.get("/v1/figures", params={"minutes": 1441})).status_code == 422


async def test_what_several_versions_did_in_a_minute_is_one_figure(
    client: AsyncClient, workers: Workers, job_log: JobLog, recorders: list[Recorder]
) -> None:
    ended_ms = round(datetime.now(UTC).timestamp() * 1000) - 120_000
    for version, run_ms in (("1", 100), ("2", 1000)):
        await workers.write(
            new_id(),
            "succeeded",
            started_at=str(ended_ms - run_ms),
            finished_at=str(ended_ms),
            version=version,
        )
        await record(recorders[0], await last_entry(job_log))

    [mail] = (await client.get("/v1/figures", params={"minutes": 10})).json()["handlers"]

    assert [n for n in mail["succeeded"] if n] == [2]
    assert [n for n in mail["run_p50_ms"] if n] == [pytest.approx(100, rel=0.1)]
    assert [n for n in mail["run_p95_ms"] if n] == [pytest.approx(1000, rel=0.1)]
    assert mail["versions"] == [{"version": v, "ended": 1, "failed": 0} for v in ("1", "2")]
