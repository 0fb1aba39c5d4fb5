"""One handler's entries from its streams in, deliveries out; acknowledged, renewed and taken over here.

Each worker is a consumer of its own in the handler's group. An entry that its consumer does not renew
for a lease (the worker is dead, or its event loop is stuck) is taken over by another.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from redis.exceptions import ResponseError

from shared.bus.availability import Availability
from shared.bus.delivery import Delivery, Receiver
from shared.bus.redis_streams import wire
from shared.bus.redis_streams.acks import Acks
from shared.bus.redis_streams.client import UNAVAILABLE, RedisClient
from shared.bus.redis_streams.consumers import leave_group, remove_gone
from shared.bus.routes import BusName
from shared.bus.taking import Taking
from shared.contracts import addressed
from shared.errors import EnvelopeError
from shared.telemetry import get_logger

_MOST = 256
_BLOCK_MS = 2000
_TIDY_EVERY_S = 60.0
_IDLE_FOR_ALL_MS = 10**9

Entry = tuple[bytes, Mapping[bytes, bytes] | None]


class RedisIntake:
    """Takes entries of `streams` as a member of the group, as many as the receiver has room for."""

    bus: BusName = "redis"

    def __init__(
        self,
        client: RedisClient,
        receiver: Receiver,
        *,
        streams: Sequence[str],
        group: str,
        consumer: str,
        lease: timedelta,
    ) -> None:
        self._client = client
        # A connection of its own, so that its wait holds up nobody and can be ended from outside.
        self._reader = client.own_line()
        self._reader_id = 0
        self._receiver = receiver
        self._streams = tuple(streams)
        self._all_new = (">",) * len(self._streams)
        self._group = group
        self._consumer = consumer
        self._lease_s = lease.total_seconds()
        self._lease_ms = round(self._lease_s * 1000)
        self._outstanding: dict[str, Delivery] = {}
        self._acks = Acks(client, group)
        self._tasks: list[asyncio.Task[None]] = []
        self._running = False
        self._take_over_at = 0.0
        self._tidy_at = 0.0
        self._log = get_logger().bind(group=group)
        self._availability = Availability(self._log, "bus.redis")

    async def start(self) -> None:
        """Make the groups where they are missing, and begin to take entries."""
        await self._make_groups()
        self._running = True
        taking = Taking(
            take=self._take_some,
            repair=self._make_groups,
            unavailable=UNAVAILABLE,
            is_lost=lambda error: "NOGROUP" in str(error),
            availability=self._availability,
            log=self._log,
        )
        self._tasks = [
            asyncio.create_task(taking.run(lambda: self._running)),
            asyncio.create_task(self._renew()),
        ]

    async def stop(self) -> None:
        """Take no more; the read that waits is ended, not cancelled, for it may have been answered."""
        if not self._running:
            return
        self._running = False
        if self._reader.is_open:
            with suppress(*UNAVAILABLE):
                await self._client.client_unblock(self._reader_id)
        taking, renewing = self._tasks
        with suppress(asyncio.CancelledError):
            await taking
        renewing.cancel()
        await self._reader.close()

    def ack(self, delivery: Delivery) -> None:
        """The entry is done with; it goes when every group of its stream says so."""
        self._outstanding.pop(delivery.token, None)
        self._acks.add(delivery.channel, delivery.handle)

    def forget(self, delivery: Delivery) -> None:
        """Leave the entry to whoever takes it over."""
        self._outstanding.pop(delivery.token, None)

    async def hand_back(self, deliveries: Sequence[Delivery]) -> None:
        """Mark the entries as idle for so long that the next worker takes them over at once."""
        for delivery in deliveries:
            self.forget(delivery)
        for stream, entry_ids in _by_stream(deliveries).items():
            await self._client.xclaim(
                stream, self._group, self._consumer, 0, entry_ids, idle=_IDLE_FOR_ALL_MS, justid=True
            )

    async def leave(self) -> None:
        """Return when every acknowledgement is sent and the groups no longer list this consumer."""
        await self._acks.sent()
        with suppress(*UNAVAILABLE):
            for stream in self._streams:
                await leave_group(self._client, stream, self._group, self._consumer)

    async def _take_some(self) -> None:
        room = min(await self._receiver.room(), _MOST)
        if not self._running:
            return
        if time.monotonic() >= self._take_over_at:
            self._take_over_at = time.monotonic() + min(2.0, self._lease_s / 6)
            await self._take_over(room)
        reply = await self._read(room)
        # All at once: what waits for the first stream's entries to start is in hand, and renewed, meanwhile.
        await self._hand_up(
            [(stream.decode(), entry) for stream, entries in reply or () for entry in _entries(entries)]
        )

    async def _read(self, room: int) -> Any:
        if not self._reader.is_open:
            self._reader_id = await self._reader("CLIENT", "ID")
        who = ("GROUP", self._group, self._consumer)
        return await self._reader(
            "XREADGROUP", *who, "COUNT", room, "BLOCK", _BLOCK_MS, "STREAMS", *self._streams, *self._all_new
        )

    async def _take_over(self, room: int) -> None:
        """Entries whose consumer was silent for a lease, our own forgotten ones among them."""
        who = (self._group, self._consumer, self._lease_ms, "0-0", "COUNT", room)
        found = await asyncio.gather(
            *(self._client.line("XAUTOCLAIM", stream, *who) for stream in self._streams)
        )
        for stream, (_, entries, *_) in zip(self._streams, found, strict=True):
            mine = [entry for entry in _entries(entries) if _token(stream, entry[0]) not in self._outstanding]
            if mine:
                self._log.info("bus.taken_over", stream=stream, entries=len(mine))
                await self._hand_up([(stream, entry) for entry in mine])
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + _TIDY_EVERY_S
            for stream in self._streams:
                await remove_gone(
                    self._client, stream, self._group, silent_for=timedelta(seconds=10 * self._lease_s)
                )

    async def _hand_up(self, entries: Sequence[tuple[str, Entry]]) -> None:
        deliveries = [
            self._delivery(stream, entry_id, fields or {}) for stream, (entry_id, fields) in entries
        ]
        for delivery in deliveries:
            self._outstanding[delivery.token] = delivery
        await self._receiver.receive(deliveries)

    def _delivery(self, stream: str, entry_id: bytes, fields: Mapping[bytes, bytes]) -> Delivery:
        token = _token(stream, entry_id)
        reference = fields.get(b"job")
        if reference is not None and stream.startswith("queue:"):
            return Delivery(
                self,
                token=token,
                channel=stream,
                handle=entry_id,
                event_id=reference.decode(errors="replace"),
            )
        try:
            envelope = wire.decode(stream, entry_id.decode(), fields)
        except EnvelopeError as error:
            return Delivery(self, token=token, channel=stream, handle=entry_id, fault=error, raw=_raw(fields))
        # Where an event lies says whose it is: in the queue it is this handler's, elsewhere everybody's.
        own = self._group if stream.startswith("queue:") else None
        return Delivery(self, token=token, channel=stream, handle=entry_id, envelope=addressed(envelope, own))

    async def _renew(self) -> None:
        """Show that the entries in hand are worked on, three times a lease."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            for stream, entry_ids in _by_stream(list(self._outstanding.values())).items():
                try:
                    await self._client.xclaim(stream, self._group, self._consumer, 0, entry_ids, justid=True)
                except UNAVAILABLE as error:
                    self._availability.lost(error)

    async def _make_groups(self) -> None:
        for stream in self._streams:
            try:
                await self._client.xgroup_create(stream, self._group, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise


def _entries(reply: Sequence[Any]) -> list[Entry]:
    """The entries of a stream as Redis writes them: id and flat fields, or none for one that was deleted."""
    return [
        (entry_id, dict(zip(flat[::2], flat[1::2], strict=True)) if flat else None)
        for entry_id, flat in reply
    ]


def _token(stream: str, entry_id: bytes) -> str:
    return f"{stream} {entry_id.decode()}"


def _by_stream(deliveries: Sequence[Delivery]) -> dict[str, list[bytes]]:
    found: defaultdict[str, list[bytes]] = defaultdict(list)
    for delivery in deliveries:
        found[delivery.channel].append(delivery.handle)
    return found


def _raw(fields: Mapping[bytes, bytes]) -> bytes:
    """What lay in the entry, for a person to look at: the data alone, or all fields."""
    if set(fields) == {b"data"}:
        return fields[b"data"]
    return b"\n".join(name + b": " + value for name, value in fields.items())
