"""Spans that the monitor takes are sent on to another collector, as they came."""

import gzip
from pathlib import Path

import pytest

from monitor.traces import forwarding
from tests.monitor.bodies import Made, otlp, trace_id
from tests.monitor.running import Running, free_port, running, until


async def test_what_comes_in_is_kept_and_sent_on_also_compressed(tmp_path: Path, monitor: Running) -> None:
    async with running(tmp_path / "front", otlp_forward_url=collector_of(monitor)) as front:
        await front.post(otlp(Made(trace=1, span=1)))
        await front.post(gzip.compress(otlp(Made(trace=2, span=2))), content_encoding="gzip")

        for number in (1, 2):
            assert await has(front, number)
            await until(lambda number=number: has(monitor, number))


async def test_an_exporter_never_waits_for_a_collector_that_is_away(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path / "front", otlp_forward_url=f"http://127.0.0.1:{port}") as front:
        answer = await front.post(otlp(Made(trace=1, span=1)))
        assert (answer.status_code, await has(front, 1)) == (200, True)

        async with running(tmp_path / "back", otlp_port=port) as back:
            await until(lambda: has(back, 1))


async def test_what_waits_is_bounded_and_what_is_dropped_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "WAITING_BYTES_MAX", 1)
    async with running(tmp_path, otlp_forward_url=f"http://127.0.0.1:{free_port()}") as front:
        answer = await front.post(otlp(Made(trace=1, span=1)))
        page = (await front.get("/metrics")).text

    assert answer.status_code == 200
    assert 'trunkline_monitor_bodies_forwarded_total{outcome="dropped"} 1.0' in page


async def test_what_the_monitor_refuses_is_not_sent_on(tmp_path: Path, monitor: Running) -> None:
    async with running(tmp_path / "front", otlp_forward_url=collector_of(monitor)) as front:
        await front.post(b"no protobuf")
        await front.post(otlp(Made(trace=1, span=1)))
        await until(lambda: has(monitor, 1))
        page = (await front.get("/metrics")).text

    assert 'trunkline_monitor_bodies_forwarded_total{outcome="sent"} 1.0' in page


def collector_of(monitor: Running) -> str:
    return monitor.otlp_url.removesuffix("/v1/traces")


async def has(monitor: Running, number: int) -> bool:
    return (await monitor.get(f"/api/traces/{trace_id(number)}")).status_code == 200
