"""Orders to whole handlers, from outside any worker: pause one, resume it, change its limits."""

import time
from collections.abc import Mapping
from typing import Any

from shared.bus.redis_streams import RedisClient
from shared.jobs import keys
from shared.jobs.limits import FIELDS, Limits, limits_of


class HandlerControl:
    """Works with all workers down, too; every worker knows within a second, and a restart forgets nothing."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def change(self, handler: str, changes: Mapping[str, Any]) -> Limits:
        """Say these (`paused`, `note`, `concurrency`, `worker_concurrency`, `rate`), and leave the others.

        None takes back what was said of a limit; resuming takes back the note. All at once or nothing.
        """
        key = keys.control(handler)
        said = {name: value for name, value in changes.items() if name != "paused" and value is not None}
        unsaid = [name for name, value in changes.items() if name != "paused" and value is None]
        pipe = self._redis.pipeline(transaction=True)
        if changes.get("paused"):
            said["paused"] = 1
            pipe.hsetnx(key, "since", time.time_ns() // 1_000_000)
        elif "paused" in changes:
            unsaid += ["paused", "since", "note"]
        if said:
            pipe.hset(key, mapping=said)
        if unsaid:
            pipe.hdel(key, *unsaid)
        pipe.hmget(key, FIELDS)
        return limits_of((await pipe.execute())[-1])
