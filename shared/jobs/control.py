"""Orders to single jobs, from outside any worker: cancel one, run one again."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from shared.bus.redis_streams import RedisClient, script
from shared.jobs import keys

CANCELLING = "cancelling"
"""What `cancel` answers for a running job: its worker will end it."""
GONE = "gone"
"""What `replay` answers when nobody knows the job's event any more."""


class JobControl:
    """Works with all workers down, too: what is ordered is done when one is back."""

    def __init__(self, redis: RedisClient, *, keep: timedelta) -> None:
        self._cancel = script(redis, "shared.jobs.lua", "cancel")
        self._replay = script(redis, "shared.jobs.lua", "replay")
        self._keep_ms = round(keep.total_seconds() * 1000)

    async def cancel(
        self, handler: str, event_id: str, *, event_type: str, due_in: timedelta = timedelta(0)
    ) -> str:
        """The state of the job now: `cancelled`, `cancelling`, or the final state that it had before.

        `due_in` is how long the job would have waited: its message comes no sooner, and finds it cancelled.
        """
        names = [keys.waiting(handler), keys.cancelling(handler), keys.LOG, keys.job(handler, event_id)]
        keep_ms = self._keep_ms + round(due_in.total_seconds() * 1000)
        answer = await self._cancel(names, [handler, event_id, event_type, keep_ms])
        return answer.decode()

    async def replay(
        self,
        handler: str,
        event_id: str,
        *,
        event_type: str,
        service: str,
        max_attempts: int,
        event: bytes = b"",
        traceparent: str = "",
        attempts: Sequence[Mapping[str, Any]] = (),
        replay_id: str = "",
    ) -> str:
        """The state of the job now: `queued`, a state in which nothing ended yet, `succeeded`, or `gone`.

        For a job that Redis has forgotten: `event` is its CloudEvents JSON, empty when unknown, `attempts`
        are the failed ones. With a `replay_id` only a dead job is queued, and only once: asked again, the
        answer is `queued`, whatever became of the job in between.
        """
        names = [keys.dead(handler), keys.queue(handler), keys.LOG, keys.job(handler, event_id)]
        lines = b"\n".join(msgspec.json.encode(attempt) for attempt in attempts)
        terms = [event_type, service, max_attempts, self._keep_ms, replay_id, traceparent, lines]
        answer = await self._replay(names, [handler, event_id, event, *terms])
        return answer.decode()
