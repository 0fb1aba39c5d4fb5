"""What is not done yet: the system's Redis (and JetStream) in, each handler's open work as counts out."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from redis.exceptions import ResponseError

from shared.bus.jetstream import durable_of
from shared.bus.jetstream.wire import STREAM
from shared.bus.redis_streams import RedisClient
from shared.bus.redis_streams.wire import stream_of
from shared.jobs import keys


class OpenWork(NamedTuple):
    """The open work of one handler. A job may be counted twice: as a message, and as a job."""

    handler: str
    running: int
    """Jobs that a worker has."""
    due: int
    """Jobs whose wait is over, not yet in the queue."""
    later: int
    """Jobs that wait for an instant to come: a retry, a later delivery."""
    on_redis: int
    """Entries of its streams that are not taken, or not acknowledged."""
    on_nats: int
    """Messages of its consumer that are not taken, or not acknowledged."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing happens any more until an instant comes."""
        return not (self.running or self.due or self.on_redis or self.on_nats)

    def __str__(self) -> str:
        counts = {
            "running": self.running,
            "due": self.due,
            "waiting": self.later,
            "on redis": self.on_redis,
            "on nats": self.on_nats,
        }
        open_ = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return f"{self.handler}: {open_ or 'nothing'}"


async def open_work(
    redis: RedisClient, handlers: Iterable[tuple[str, str]], jetstream: JetStreamContext | None = None
) -> list[OpenWork]:
    """The open work of each (handler, event type); raises what the clients raise when a bus is away."""
    return [await _open_work_of(redis, name, event_type, jetstream) for name, event_type in handlers]


async def _open_work_of(
    redis: RedisClient, name: str, event_type: str, jetstream: JetStreamContext | None
) -> OpenWork:
    now_ms = datetime.now(UTC).timestamp() * 1000
    # The messages first: a job that moves on meanwhile is then seen where it went, not overlooked.
    on_nats = await _on_nats(jetstream, name) if jetstream is not None else 0
    on_redis = [await _on_redis(redis, stream, name) for stream in (stream_of(event_type), keys.queue(name))]
    waiting, due = keys.waiting(name), await redis.zcount(keys.waiting(name), "-inf", now_ms)
    return OpenWork(
        handler=name,
        running=await redis.zcard(keys.running(name)),
        due=due,
        later=await redis.zcount(waiting, f"({now_ms}", "+inf"),
        on_redis=sum(on_redis),
        on_nats=on_nats,
    )


async def _on_redis(redis: RedisClient, stream: str, group: str) -> int:
    try:
        groups = await redis.xinfo_groups(stream)
    except ResponseError as error:  # the stream does not exist
        if "no such key" not in str(error):
            raise
        return 0
    for found in groups:
        if found["name"] == group.encode():
            return found["pending"] + await _not_taken(redis, stream, found)
    return 0


async def _not_taken(redis: RedisClient, stream: str, group: dict[str, bytes | int | None]) -> int:
    """Redis's `lag`; where it does not know (entries were removed in between) what still lies there."""
    lag, last = group["lag"], group["last-delivered-id"]
    if isinstance(lag, int):
        return lag
    last_id = last.decode() if isinstance(last, bytes) else "0-0"
    return len(await redis.xrange(stream, min=f"({last_id}", count=1000))


async def _on_nats(jetstream: JetStreamContext, handler: str) -> int:
    try:
        info = await jetstream.consumer_info(STREAM, durable_of(handler))
    except NotFoundError:
        return 0
    return (info.num_pending or 0) + (info.num_ack_pending or 0)
