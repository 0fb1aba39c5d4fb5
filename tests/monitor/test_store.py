"""What the store keeps, for how long, and what it survives."""

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from monitor.traces import span_writer
from monitor.traces.span import Span, spans_of
from monitor.traces.span_writer import SpanWriter
from tests.monitor.bodies import Made, otlp, trace_id
from tests.monitor.running import free_port, process, running, start_and_fail


def test_committed_spans_survive_a_kill(tmp_path: Path) -> None:
    port, otlp_port = free_port(), free_port()
    with process(tmp_path, port, otlp_port) as monitor:
        sent = httpx.post(
            f"http://127.0.0.1:{otlp_port}/v1/traces",
            content=otlp(Made(trace=1, span=1)),
            headers={"Content-Type": "application/x-protobuf"},
        )
        monitor.kill()
        monitor.wait()

    with process(tmp_path, port, otlp_port) as monitor:
        found = httpx.get(f"http://127.0.0.1:{port}/api/traces/{trace_id(1)}")
        monitor.terminate()
        code = monitor.wait(10)

    assert (sent.status_code, found.status_code) == (200, 200)
    assert code == 0


async def test_a_damaged_file_is_set_aside_and_a_fresh_one_begun(tmp_path: Path) -> None:
    (tmp_path / "traces.sqlite").write_bytes(b"no database at all " * 1000)

    async with running(tmp_path) as monitor:
        sent = await monitor.post(otlp(Made(trace=1, span=1)))
        services = (await monitor.get("/api/services")).json()["data"]

    assert (sent.status_code, services) == (200, ["shop"])
    assert (tmp_path / "traces.sqlite.broken-1").read_bytes().startswith(b"no database")


async def test_a_file_that_breaks_while_it_is_in_use_is_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "traces.sqlite"
    async with running(tmp_path) as monitor:
        for number in range(1, 40):
            await monitor.post(otlp(*(Made(trace=number, span=span) for span in range(1, 30))))
        with sqlite3.connect(file) as beside:
            beside.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        beside.close()
        with file.open("r+b") as raw:
            raw.seek(4096)
            raw.write(b"\xff" * (file.stat().st_size - 4096))
        statuses = [(await monitor.post(otlp(Made(trace=99 + n, span=1)))).status_code for n in range(3)]
        found = await monitor.get(f"/api/traces/{trace_id(101)}")

    assert statuses[-1] == 200
    assert found.status_code == 200


async def test_a_file_of_another_version_is_set_aside(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "traces.sqlite")
    other.executescript("CREATE TABLE theirs (x); PRAGMA user_version = 99;")
    other.close()
    (tmp_path / "traces.sqlite.broken-1").touch()

    async with running(tmp_path) as monitor:
        assert (await monitor.get("/api/services")).json()["data"] == []

    assert (tmp_path / "traces.sqlite.broken-2").exists()


async def test_the_oldest_traces_make_room_for_new_ones(tmp_path: Path) -> None:
    async with running(tmp_path, trace_spans_max=10) as monitor:
        for number in range(1, 6):
            await monitor.post(otlp(*(Made(trace=number, span=span) for span in range(1, 5))))

        answers = [await monitor.get(f"/api/traces/{trace_id(number)}") for number in range(1, 6)]
        numbers = (await monitor.get("/metrics")).text

    assert [answer.status_code for answer in answers] == [404, 404, 404, 200, 200]
    assert "trunkline_monitor_spans_kept 8.0" in numbers
    assert "trunkline_monitor_spans_evicted_total 12.0" in numbers


async def test_a_trace_larger_than_the_store_keeps_its_last_spans(tmp_path: Path) -> None:
    async with running(tmp_path, trace_spans_max=10) as monitor:
        for first in (1, 11, 21):
            await monitor.post(otlp(*(Made(trace=1, span=first + more) for more in range(10))))

        trace = (await monitor.get(f"/api/traces/{trace_id(1)}")).json()["data"][0]

    assert [int(span["spanID"], 16) for span in trace["spans"]] == list(range(21, 31))


def test_traces_that_were_silent_for_the_retention_time_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SpanWriter(tmp_path / "traces.sqlite", spans_max=100, retention=timedelta(hours=1))
    writer.open()
    writer.turn(_spans(Made(trace=1, span=1)))
    later_ns = span_writer.time.time_ns() + 3_601_000_000_000
    monkeypatch.setattr(span_writer.time, "time_ns", lambda: later_ns)
    turn = writer.turn(_spans(Made(trace=2, span=1)))
    writer.close()

    assert (turn.stored, turn.evicted, turn.kept) == (1, 1, 1)


def test_deleting_is_done_in_bounded_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.traces.span_writer.EVICTED_A_TURN", 10)
    writer = SpanWriter(tmp_path / "traces.sqlite", spans_max=100, retention=timedelta(hours=1))
    writer.open()
    writer.turn(_spans(*(Made(trace=number, span=1) for number in range(1, 126))))

    turns = [writer.turn(()) for _ in range(3)]
    writer.close()

    assert [(turn.evicted, turn.is_behind) for turn in turns] == [(10, True), (5, False), (0, False)]


async def test_two_monitors_do_not_share_a_folder(tmp_path: Path) -> None:
    async with running(tmp_path):
        second = await asyncio.to_thread(
            start_and_fail, {"MONITOR_DATA": str(tmp_path), "PORT": "0", "OTLP_PORT": "0"}
        )

    assert second.returncode == 2
    assert second.stderr == f"monitor: {tmp_path} is in use by another monitor\n"


def _spans(*made: Made) -> Sequence[Span]:
    return spans_of(ExportTraceServiceRequest.FromString(otlp(*made))).spans
