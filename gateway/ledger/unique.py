"""One job for one unique key: a job to be committed in, None or the committed one that stands for it out.

The key is reserved in Redis before the commit, for a short time, so that a gateway that dies in between does
not block it for long; it becomes the job's own when the job is published. In between the ledger tells: an
event that is committed and not yet published has its key, too.
"""

import asyncio
import random
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.door.problem_kinds import UNIQUE_KEY_IN_FLIGHT
from gateway.door.problems import Refused
from gateway.ledger.ledger import Ledger
from shared.bus.redis_streams import UNAVAILABLE, UniqueKeys
from shared.contracts import HANDLER, UNIQUE_KEY, Envelope

RESERVED_FOR: Final = timedelta(seconds=30)
_PAUSE_S: Final = (0.01, 0.2)
_LONGEST_WAIT_S: Final = 2.0  # below the 5 s that Postgres lets a transaction idle

_UNPUBLISHED: Final = text("""
    SELECT id::text FROM gateway.events
    WHERE published_at IS NULL AND settled_at IS NULL AND id <> CAST(:id AS uuid)
        AND attributes ->> 'handler' = :handler AND attributes ->> 'uniquekey' = :key
        AND CAST(attributes ->> 'uniqueuntil' AS timestamptz) > now()
    ORDER BY accepted_at LIMIT 1
""")


class UniqueJobs:
    """Reserves unique keys. Raises what redis-py raises when it is away: then nobody knows who has a key."""

    def __init__(self, keys: UniqueKeys, ledger: Ledger, engine: AsyncEngine) -> None:
        self._keys = keys
        self._ledger = ledger
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def reserve(self, job: Envelope) -> str | None:
        """None when the job has its key: commit it, or `release` the key. Else the event that stands for it.

        While another request has the key reserved, its end is waited for; Refused with 409 after 2 s.
        """
        ends_at = monotonic() + _LONGEST_WAIT_S
        pause_s = _PAUSE_S[0]
        while True:
            holder = await self._keys.reserve(job, for_=RESERVED_FOR)
            if holder is None:
                return await self._reserved(job)
            if holder.is_certain or await self._ledger.find(holder.event_id):
                return holder.event_id
            if monotonic() > ends_at:
                raise Refused(
                    UNIQUE_KEY_IN_FLIGHT,
                    "another request with this unique_key is being worked on",
                    headers={"Retry-After": "1"},
                )
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
            pause_s = min(pause_s * 2, _PAUSE_S[1])

    async def release(self, job: Envelope) -> None:
        """Give the reserved key back; with Redis away it comes free by itself."""
        with suppress(*UNAVAILABLE):
            await self._keys.release(job)

    async def _reserved(self, job: Envelope) -> str | None:
        """The key was free in Redis; another may have it that waits in the ledger to be published."""
        attributes = job.attributes
        wanted = {"id": job.id, "handler": attributes[HANDLER], "key": attributes[UNIQUE_KEY]}
        try:
            async with self._engine.connect() as connection:
                earlier = (await connection.execute(_UNPUBLISHED, wanted)).scalar()
        except BaseException:
            await self.release(job)
            raise
        if earlier is not None:
            await self.release(job)
        return earlier
