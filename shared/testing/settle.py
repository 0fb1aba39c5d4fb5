"""A system in; back as soon as nothing moves in it any more, else an error that says what does."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from time import monotonic

import nats
from nats.js import JetStreamContext

from shared.bus import Routes
from shared.bus.redis_streams import UNAVAILABLE, RedisClient, connect
from shared.jobs import JobLog, OpenWork, Registry, open_work
from shared.service import Service
from shared.settings import Settings

_LOOK_EVERY_S = 0.02


class NotSettled(AssertionError):
    """The system did not settle in time; `left` is what was still there."""

    def __init__(self, left: list[OpenWork], within: timedelta, why: str) -> None:
        what = "; ".join(str(one) for one in left) or why
        super().__init__(f"not settled within {within.total_seconds():g} s: {what}")
        self.left = tuple(left)


async def settle(system: Service | Settings, *, within: timedelta = timedelta(seconds=30)) -> None:
    """Return when no job of any handler runs or is due and no message waits, on either bus.

    Jobs that wait for an instant to come are left out: a retry in an hour holds nobody up. Nor is looked at
    what a gateway has committed and not published yet. Raises NotSettled.
    """
    settings = system.settings if isinstance(system, Service) else system
    left: list[OpenWork] = []
    why = "no look came to its end"
    try:
        async with AsyncExitStack() as stack, asyncio.timeout(within.total_seconds()):
            redis = connect(settings.redis_url)
            stack.push_async_callback(redis.aclose)
            jetstream = await _jetstream(settings, stack)
            ends_at = monotonic() + within.total_seconds()
            # The clock is asked as well: a cancellation that falls into a call of redis-py may be lost there.
            while monotonic() < ends_at:
                try:
                    before = await JobLog(redis).last_id()
                    left = await _left(redis, jetstream)
                    # Nobody began or ended anything while we looked from one handler to the next.
                    why = "jobs come and go"
                    if not left and await JobLog(redis).last_id() == before:
                        return
                except UNAVAILABLE as error:
                    why = f"redis is away: {error}"
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError:
        pass
    raise NotSettled(left, within, why)


async def _jetstream(settings: Settings, stack: AsyncExitStack) -> JetStreamContext | None:
    if "nats" not in Routes.parse(settings.bus_routes, settings.buses).enabled:
        return None
    client = await nats.connect(settings.nats_url.get_secret_value())
    stack.push_async_callback(client.close)
    return client.jetstream()


async def _left(redis: RedisClient, jetstream: JetStreamContext | None) -> list[OpenWork]:
    handlers = [(record.name, record.event_type) for record in (await Registry(redis).handlers()).values()]
    return [one for one in await open_work(redis, handlers, jetstream) if not one.is_settled]
