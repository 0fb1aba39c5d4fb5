"""What a drill left behind: its system in; what Redis, the bus and Postgres know of each job, out."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nats
from sqlalchemy import text

from launcher.drill.worker import handlers
from shared.bus.redis_streams import UNAVAILABLE, connect
from shared.contracts import DrillRequested
from shared.db import DatabaseUrl
from shared.db import connect as connect_postgres
from shared.jobs import Death, JobReader, OpenWork, State, open_work
from shared.settings import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import timedelta
    from pathlib import Path

    from nats.js import JetStreamContext
    from sqlalchemy.ext.asyncio import AsyncEngine

    from launcher.drill.feed import Asked
    from launcher.drill.options import DrillOptions
    from launcher.state import State as SystemState

(HANDLER,) = (handler.name for handler in handlers)
_PAGE = 500

_EFFECTS = text("""
    SELECT count(*) AS written, count(DISTINCT n) AS jobs, max(gap) AS longest_gap,
           max(done_at) - min(done_at) AS span
    FROM (SELECT n, done_at, done_at - lag(done_at) OVER (ORDER BY done_at) AS gap FROM drill.effects) AS seen
""")
_LEDGER = text("SELECT count(*) FROM gateway.events WHERE type = :type")
_WRITTEN = text("SELECT count(*) FROM drill.effects")
_PID = re.compile(r"-(\d+)-[0-9a-f]{6}$")  # a worker's id: service-host-pid-random


@dataclass(frozen=True, slots=True)
class Effects:
    """The rows that the jobs wrote."""

    written: int
    jobs: int
    longest_gap: timedelta | None
    span: timedelta | None


@dataclass(frozen=True, slots=True)
class Jobs:
    """The drill's jobs by their state; `missing` ones are not known at all."""

    states: Counter[str]
    poisoned: Sequence[str]

    @property
    def final(self) -> int:
        """How many have come to their end."""
        return sum(count for state, count in self.states.items() if state and State(state).is_final)


class Evidence:
    """Reads; changes nothing."""

    def __init__(self, redis: Any, jetstream: JetStreamContext | None, engine: AsyncEngine) -> None:
        self._redis = redis
        self._jetstream = jetstream
        self._engine = engine

    @classmethod
    @asynccontextmanager
    async def of(cls, system: SystemState, options: DrillOptions) -> AsyncGenerator[Evidence]:
        """Connected to the drill's servers."""
        redis = connect(Secret(system.redis))
        engine = connect_postgres(DatabaseUrl(system.postgres), service="drill", pool_size=2)
        client = None
        if options.bus == "nats":
            client = await nats.connect(system.nats, max_reconnect_attempts=-1, error_cb=_ignore)
        try:
            yield cls(redis, client.jetstream() if client else None, engine)
        finally:
            await redis.aclose()
            await engine.dispose()
            if client is not None:
                await client.close()

    async def busy(self) -> set[int] | None:
        """The pids of the workers that have a job in hand; None while Redis is away."""
        try:
            running = await self._redis.zrange(f"running:{{{HANDLER}}}", 0, 200)
            records = await JobReader(self._redis).get([f"{HANDLER}:{id_.decode()}" for id_ in running])
        except UNAVAILABLE:
            return None
        found = (_PID.search(record.worker or "") for record in records if record is not None)
        return {int(match[1]) for match in found if match}

    async def written(self) -> int:
        """How many rows there are now."""
        async with self._engine.connect() as connection:
            return (await connection.execute(_WRITTEN)).scalar_one()

    async def jobs(self, events: Sequence[Asked]) -> Jobs:
        """The jobs of these events as Redis knows them."""
        reader, states, poisoned = JobReader(self._redis), Counter[str](), list[str]()
        for first in range(0, len(events), _PAGE):
            ids = [f"{HANDLER}:{asked.event_id}" for asked in events[first : first + _PAGE]]
            for record in await reader.get(ids):
                states[record.state if record else ""] += 1
                if record and record.state == State.DEAD and record.reason == Death.POISON:
                    poisoned.append(record.id)
        return Jobs(states, poisoned)

    async def effects(self) -> Effects:
        """The rows that were written, and how long none was."""
        async with self._engine.connect() as connection:
            return Effects(*(await connection.execute(_EFFECTS)).one())

    async def left(self) -> OpenWork:
        """What is still on its way."""
        (left,) = await open_work(self._redis, [(HANDLER, DrillRequested.type)], self._jetstream)
        return left

    async def in_ledger(self, system: SystemState) -> int:
        """The events that the gateway has committed."""
        engine = connect_postgres(DatabaseUrl(system.postgres), service="gateway", pool_size=1)
        try:
            async with engine.connect() as connection:
                return (await connection.execute(_LEDGER, {"type": DrillRequested.type})).scalar_one()
        finally:
            await engine.dispose()


def fenced(logs: Path) -> int:
    """How many endings of zombies were refused, as their log lines say."""
    files = sorted(logs.glob("drill.*.log*"))
    return sum(file.read_bytes().count(b'"event":"job.fenced"') for file in files)


async def _ignore(_error: Exception) -> None:
    """A bus that is killed each few seconds is away often."""
