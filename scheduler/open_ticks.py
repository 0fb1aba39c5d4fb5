"""Which ticks are done with: those whose jobs are watched in, the ones whose jobs have ended closed.

Only schedules that must not overlap are watched. A job that Redis does not know has not been taken up yet;
of a tick older than results are kept it has been forgotten, and then the tick is over.
"""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.bus.redis_streams import RedisClient
from shared.jobs import FINAL, JobReader, Registry, keys

_OPEN: Final = text("""
    SELECT ticks.schedule, ticks.tick, ticks.type, ticks.event_id::text AS event_id, ticks.decided_at,
        now() AS now, outbox.id IS NOT NULL AND outbox.published_at IS NULL AS is_waiting
    FROM scheduler.ticks LEFT JOIN scheduler.outbox ON outbox.id = ticks.event_id
    WHERE ticks.open ORDER BY ticks.decided_at LIMIT 500
""")
_CLOSE: Final = text("""
    UPDATE scheduler.ticks SET open = false
    FROM unnest(CAST(:schedules AS text[]), CAST(:ticks AS timestamptz[])) AS done (schedule, tick)
    WHERE (ticks.schedule, ticks.tick) = (done.schedule, done.tick)
""")


class OpenTicks:
    """Closes ticks as their jobs end. Raises what the clients raise while Redis or Postgres is away."""

    def __init__(self, engine: AsyncEngine, redis: RedisClient, *, results_kept: timedelta) -> None:
        self._engine = engine
        self._registry = Registry(redis)
        self._reader = JobReader(redis)
        self._results_kept = results_kept

    async def close_ended(self) -> int:
        """Close those whose jobs have all ended; returns how many are open still."""
        async with self._engine.begin() as connection:
            rows = (await connection.execute(_OPEN)).all()
        published = [row for row in rows if not row.is_waiting]
        ended = [row for row in published if await self._has_ended(row)] if published else []
        if ended:
            keys_ = {"schedules": [row.schedule for row in ended], "ticks": [row.tick for row in ended]}
            async with self._engine.begin() as connection:
                await connection.execute(_CLOSE, keys_)
        return len(rows) - len(ended)

    async def _has_ended(self, row: Row[Any]) -> bool:
        handlers = await self._registry.handlers()
        names = [name for name, handler in handlers.items() if handler.event_type == row.type]
        jobs = await self._reader.get([keys.job_id(name, row.event_id) for name in names])
        is_forgotten = row.now - row.decided_at > self._results_kept
        return all(job.state in FINAL if job else is_forgotten for job in jobs)
