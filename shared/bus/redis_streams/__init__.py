"""Redis Streams: wire format, client, publisher, and one handler's intake."""

from shared.bus.redis_streams.backlog import backlogs
from shared.bus.redis_streams.client import UNAVAILABLE, RedisClient, connect, script
from shared.bus.redis_streams.consumers import leave_group
from shared.bus.redis_streams.intake import RedisIntake
from shared.bus.redis_streams.position import Position
from shared.bus.redis_streams.publisher import RedisPublisher
from shared.bus.redis_streams.queue import RedisQueues, UniqueKeys

__all__ = [
    "UNAVAILABLE",
    "Position",
    "RedisClient",
    "RedisIntake",
    "RedisPublisher",
    "RedisQueues",
    "UniqueKeys",
    "backlogs",
    "connect",
    "leave_group",
    "script",
]
