"""The price of each guarantee: the same drain with one of them more, and what is left of the plain rate."""

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from bench.ours import Lab
from bench.ours.database import emptied, migrated_postgres, session
from bench.ours.lab import POLL_S, drained, start
from bench.result import Measurement, merge
from bench.watch import Watch
from launcher.ports import free_port
from launcher.probes import ask
from launcher.process import until_ready
from launcher.servers import PostgresServer
from shared.bus import BusName

PLAIN = "plain"
_LIMIT = timedelta(seconds=60)
_RECORDED_LIMIT_S = 60.0
_START_LIMIT = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class _Guarantee:
    name: str
    note: str
    bus: BusName = "redis"
    durable: bool = False
    traced: float | None = None
    """The share of jobs that are traced; None without an exporter."""
    history: bool = False


_GUARANTEES = (
    _Guarantee(
        name=PLAIN,
        note="status, result, attempts, leases, retries; Redis fsyncs once a second; nothing traced",
    ),
    _Guarantee(name="tracing 10 %", note="OTLP, one job in ten", traced=0.1),
    _Guarantee(name="tracing 100 %", note="OTLP, each job, the SDK's default queue", traced=1.0),
    _Guarantee(
        name="history", note="the gateway writes each job's history to Postgres meanwhile", history=True
    ),
    _Guarantee(name="fsync always", note="Redis fsyncs before each answer", durable=True),
    _Guarantee(name="NATS", note="events come over JetStream", bus="nats"),
)


async def measure(*, rounds: int, quick: bool, say: Callable[[str], None]) -> list[Measurement]:
    """`guarantees` in jobs/s and `guarantees_share` in % of the plain drain of the same round."""
    jobs = 4_000 if quick else 20_000
    found: list[Measurement] = []
    async with migrated_postgres() as postgres:
        for _ in range(rounds):
            plain = 0.0
            for guarantee in _GUARANTEES:
                watch = Watch.start()
                rate, note = await _drain(guarantee, jobs, postgres)
                plain = plain or rate
                say(f"{guarantee.name}: {rate:,.0f} jobs/s, {100 * rate / plain:.0f} % of plain{note}")
                one = partial(
                    Measurement,
                    contender="trunkline",
                    title="Trunkline",
                    variant=guarantee.name,
                    load=[watch.others()],
                    note=guarantee.note + note,
                )
                found += [
                    one(figure="guarantees", unit="jobs/s", values=[rate]),
                    one(figure="guarantees_share", unit="%", values=[100 * rate / plain]),
                ]
    return merge(found)


async def _drain(guarantee: _Guarantee, jobs: int, postgres: PostgresServer) -> tuple[float, str]:
    """Jobs/s of one process, and what else there is to say."""
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(
            Lab.open(guarantee.bus, durable=guarantee.durable, postgres=postgres)
        )
        await lab.make_groups()
        await lab.preload(0, jobs, traceparent=partial(_traceparent, share=guarantee.traced or 0.0))
        variables: dict[str, str] = {}
        sink = 0
        if guarantee.traced is not None:
            sink = await stack.enter_async_context(_trace_sink())
            variables = {
                "OTEL_SDK_DISABLED": "false",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink}",
            }
        if guarantee.history:
            await emptied(postgres)
            await stack.enter_async_context(lab.gateway(handles_events=False))
        async with lab.worker(variables=variables) as folder:
            count = await drained(folder, jobs, limit=_LIMIT)
            if guarantee.history:
                return count.per_s, await _recorded(postgres, jobs, count.first_ns)
        if sink:
            spans = int((await ask(sink, b"GET / HTTP/1.1\r\n\r\n") or b"").rpartition(b"\n")[2])
            return count.per_s, f"; {spans:,} spans of {jobs:,} jobs arrived"
        return count.per_s, ""


def _traceparent(n: int, *, share: float) -> str:
    """The context that a gateway gives each event, sampled for so many of them."""
    sampled = share > 0 and n % round(1 / share) == 0
    return f"00-{random.getrandbits(128) or 1:032x}-{random.getrandbits(64) or 1:016x}-{sampled:02x}"


@asynccontextmanager
async def _trace_sink() -> AsyncGenerator[int]:
    port = free_port()
    sink = start(("bench.ours.trace_sink", str(port)), {**os.environ})
    try:
        await until_ready(sink, partial(_answers, port), _START_LIMIT)
        yield port
    finally:
        await sink.kill()


async def _answers(port: int) -> bool:
    return await ask(port, b"GET / HTTP/1.1\r\n\r\n") is not None


async def _recorded(postgres: PostgresServer, jobs: int, began_ns: int) -> str:
    """How fast the history was complete."""
    until, done = time.monotonic() + _RECORDED_LIMIT_S, 0
    async with session(postgres) as connection:
        while time.monotonic() < until:
            done = await connection.fetchval("SELECT count(*) FROM gateway.jobs WHERE state = 'succeeded'")
            if done == jobs:
                took_s = (time.time_ns() - began_ns) / 1e9
                return f"; all {jobs:,} recorded {took_s:.1f} s after the first began"
            await asyncio.sleep(10 * POLL_S)
    raise TimeoutError(f"{done} of {jobs} jobs were recorded after {_RECORDED_LIMIT_S:g} s")
