"""Where messages lie: the places that publishing told of in, the messages that still lie there out.

A place is text, as the ledger keeps it: `redis:<stream> <entry id>` or `nats:<stream> <sequence>`, and of an
event that was routed to both, one after the other with a comma. Behind the bus stands a delivery's token.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

from shared.bus.jetstream.lookup import NatsLookup, is_token
from shared.bus.redis_streams.lookup import RedisLookup


class Message(NamedTuple):
    """An event at a place."""

    event_id: str
    place: str


def place_of_token(token: str) -> str:
    """The place of a delivery: a JetStream token is the name of its stream and a number."""
    return f"nats:{token}" if is_token(token) else f"redis:{token}"


def join(one: str, other: str) -> str:
    """Both places, of an event that lies on both buses."""
    return f"{one},{other}"


class Places:
    """Looks messages up; None for NATS when it is off: nobody finds a message there any more.

    Every look raises BusUnavailable when a bus does not answer: then nobody can tell.
    """

    def __init__(self, redis: RedisLookup, nats: NatsLookup | None) -> None:
        self._redis = redis
        self._nats = nats

    async def holding(self, messages: Collection[Message]) -> set[Message]:
        """Those that still lie at one of their places."""
        on_redis: defaultdict[str, dict[Message, str]] = defaultdict(dict)
        on_nats: dict[Message, int] = {}
        for message in messages:
            for place in message.place.split(","):
                bus, _, token = place.partition(":")
                channel, _, position = token.rpartition(" ")
                if bus == "redis":
                    on_redis[channel][message] = position
                elif position.isdecimal():
                    on_nats[message] = int(position)
        return await self._on_redis(on_redis) | await self._on_nats(on_nats)

    async def are_waiting(self, handler: str, event_type: str) -> bool:
        """Whether anything of the type waits for the handler, or is in its hands and not acknowledged."""
        if await self._redis.are_waiting(handler, event_type):
            return True
        return self._nats is not None and await self._nats.are_waiting(handler)

    async def _on_redis(self, by_stream: Mapping[str, Mapping[Message, str]]) -> set[Message]:
        found: set[Message] = set()
        for stream, positions in by_stream.items():
            there = await self._redis.existing(stream, list(positions.values()))
            found |= {message for message, is_there in zip(positions, there, strict=True) if is_there}
        return found

    async def _on_nats(self, sequences: Mapping[Message, int]) -> set[Message]:
        if self._nats is None or not sequences:
            return set()
        there = await self._nats.existing(
            [(sequence, message.event_id) for message, sequence in sequences.items()]
        )
        return {message for message, is_there in zip(sequences, there, strict=True) if is_there}
