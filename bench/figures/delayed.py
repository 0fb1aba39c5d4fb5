"""A million delayed jobs: what they take while they wait, and how late those are whose instant comes.

An event with `deliverat` waits in the ledger, in Postgres, until five minutes before; then its job waits in
Redis. So both are looked at: when held events leave the ledger, and when jobs start.
"""

import asyncio
import http.client
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import tally
from bench.ours import Lab
from bench.ours.database import Session, migrated_postgres, session
from bench.ours.events import DueParcel, due_parcel
from bench.ours.lab import SOURCE, drained, used_bytes
from bench.result import Measurement, percentile
from bench.watch import Watch, memory
from launcher.process import Process
from launcher.servers import PostgresServer
from shared.clock import rfc3339
from shared.contracts import BATCH_TYPE, new_id

_FAR = timedelta(days=30)
_LIMIT = timedelta(seconds=60)
_LEFT_LIMIT_S = 30.0
_BEFORE_WINDOW = timedelta(seconds=2)

# The row that the gateway wrote for an event that was posted, with other ids, over the thirty days after it.
_MULTIPLY = """
    INSERT INTO gateway.events (id, type, source, attributes, data, held_until)
    SELECT gen_random_uuid(), type, source,
        jsonb_set(attributes, '{deliverat}', to_jsonb(to_char(
            (held_until + interval '5 minutes' + n * interval '30 days' / $2) AT TIME ZONE 'UTC',
            'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
        ))),
        data, held_until + n * interval '30 days' / $2
    FROM gateway.events, generate_series(1, $2::bigint) AS n WHERE id = $1::uuid
"""
# The same for events that leave the ledger within the window.
_LEAVE_SOON = """
    INSERT INTO gateway.events (id, type, source, attributes, data, held_until)
    SELECT gen_random_uuid(), type, source,
        jsonb_set(attributes, '{deliverat}', to_jsonb(to_char(
            ($3::timestamptz + interval '5 minutes' + n * $4::interval / $2) AT TIME ZONE 'UTC',
            'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
        ))),
        data, $3::timestamptz + n * $4::interval / $2
    FROM gateway.events, generate_series(1, $2::bigint) AS n WHERE id = $1::uuid
"""
_LEFT = """
    SELECT extract(epoch FROM published_at - held_until)::float8 * 1000 FROM gateway.events
    WHERE held_until BETWEEN $1 AND $2 AND published_at IS NOT NULL
"""


@dataclass(frozen=True, kw_only=True)
class _Size:
    held: int
    due: int
    window: timedelta


_FULL = _Size(held=1_000_000, due=1_000, window=timedelta(seconds=10))
_QUICK = _Size(held=200_000, due=300, window=timedelta(seconds=3))


async def measure(*, rounds: int, quick: bool, say: Callable[[str], None]) -> list[Measurement]:
    """`delayed_lateness_*` and `delayed_leaving_*` in ms, with nothing held and with all; what all take.

    Always one round.
    """
    del rounds
    size = _QUICK if quick else _FULL
    found: list[Measurement] = []
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(migrated_postgres())
        lab = await stack.enter_async_context(Lab.open(postgres=postgres))
        await lab.make_groups(takers=0, due=True)
        port, gateway = await stack.enter_async_context(lab.gateway())
        tallies = await stack.enter_async_context(lab.worker(takers=0, due=True, ready=True))
        system = _System(lab, postgres, gateway, port, tallies)
        asking = await stack.enter_async_context(session(postgres))
        template = await system.post([datetime.now(UTC) + _FAR])
        for held in (0, size.held):
            watch = Watch.start()
            if held:
                found += await _filled(system, asking, template, held, say)
            late = await _due(system, asking, template, size)
            variant = f"{held:,} held"
            found += [
                _measurement(
                    f"delayed_{what}_{name}", variant, "ms", value, load=watch.others(), note=_NOTES[what]
                )
                for what, ms in late.items()
                for name, value in _spread(ms).items()
            ]
            say(
                f"delayed, {variant}: "
                + "; ".join(
                    f"{what} {', '.join(f'{name} {value:,.1f} ms' for name, value in _spread(ms).items())}"
                    for what, ms in late.items()
                )
            )
    return found


_NOTES = {
    "lateness": "posted with deliverat; from that instant to the first line of the handler",
    "leaving": "from five minutes before deliverat, when an event may leave the ledger, to its publishing",
}


@dataclass(frozen=True)
class _System:
    lab: Lab
    postgres: PostgresServer
    gateway: Process
    port: int
    tallies: Path

    async def post(self, instants: Sequence[datetime]) -> str:
        """One event for each instant, in one request; returns the id of the first."""
        ids = [new_id() for _ in instants]
        batch = [
            {
                "specversion": "1.0",
                "id": id_,
                "source": SOURCE,
                "type": DueParcel.type,
                "deliverat": rfc3339(instant),
                "datacontenttype": "application/json",
                "data": due_parcel(_ns(instant)).model_dump(),
            }
            for id_, instant in zip(ids, instants, strict=True)
        ]
        await asyncio.to_thread(self._post, json.dumps(batch).encode())
        return ids[0]

    def _post(self, body: bytes) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Content-Type": BATCH_TYPE, "Authorization": f"Bearer {self.lab.api_key}"}
        connection.request("POST", "/v1/events", body, headers)
        answer = connection.getresponse()
        if answer.status != http.client.ACCEPTED:
            raise RuntimeError(f"the gateway answered {answer.status}: {answer.read()[:200]!r}")
        connection.close()

    async def sizes(self, asking: Session) -> dict[str, float]:
        """MB of each part of the system."""
        process = self.postgres.process
        taken = memory(process.pid) if process else None
        return {
            "postgres_disk": await asking.fetchval("SELECT pg_total_relation_size('gateway.events')") / 1e6,
            "postgres_memory": (taken.pss or taken.rss) if taken else 0.0,
            "gateway_memory": memory(self.gateway.pid).rss,
            "redis_memory": await used_bytes(self.lab) / 1e6,
        }


async def _filled(
    system: _System, asking: Session, template: str, held: int, say: Callable[[str], None]
) -> list[Measurement]:
    """Enter so many events that wait; what they take, before and after."""
    watch = Watch.start()
    before = await system.sizes(asking)
    began = time.monotonic()
    await asking.execute(_MULTIPLY, template, held)
    took_s = time.monotonic() - began
    # A million come over weeks. What follows on their coming all at once is not what is asked here.
    await asking.execute("VACUUM ANALYZE gateway.events")
    await asking.execute("CHECKPOINT")
    after = await system.sizes(asking)
    grown = (after["postgres_disk"] - before["postgres_disk"]) * 1e6 / held
    say(f"delayed: {held:,} events entered in {took_s:.0f} s, {grown:.0f} bytes each on disk")
    note = f"{grown:,.0f} bytes an event on disk, indexes included"
    return [
        _measurement(f"delayed_{name}", variant, "MB", sizes[name], load=watch.others(), note=note)
        for variant, sizes in (("0 held", before), (f"{held:,} held", after))
        for name in sizes
    ]


async def _due(system: _System, asking: Session, template: str, size: _Size) -> dict[str, list[float]]:
    """How late jobs start and events leave the ledger, in ms, of those whose instant is in the window."""
    known = tally.read(system.tallies).jobs
    first = datetime.now(UTC) + _BEFORE_WINDOW
    await asking.execute(_LEAVE_SOON, template, size.due, first, size.window)
    await system.post([first + size.window * n / size.due for n in range(1, size.due + 1)])
    await drained(system.tallies, known + size.due, limit=size.window + _LIMIT)
    until = time.monotonic() + _LEFT_LIMIT_S
    while len(left := await asking.fetch(_LEFT, first, first + size.window)) < size.due:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(left)} of {size.due} events had left the ledger")
        await asyncio.sleep(0.1)
    return {
        "lateness": [ns / 1e6 for ns in tally.read_latencies(system.tallies)[known:]],
        "leaving": [row[0] for row in left],
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"p50": percentile(values, 0.5), "p99": percentile(values, 0.99), "max": max(values)}


def _measurement(
    figure: str, variant: str, unit: str, value: float, *, load: float, note: str
) -> Measurement:
    return Measurement(
        figure=figure,
        contender="trunkline",
        title="Trunkline",
        variant=variant,
        unit=unit,
        values=[value],
        load=[load],
        note=note,
    )


def _ns(instant: datetime) -> int:
    return round(instant.timestamp() * 1e6) * 1_000
