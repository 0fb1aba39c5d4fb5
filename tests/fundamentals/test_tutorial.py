"""Trunkline in ten tests, from an event to a dead letter. Read them in order."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import ClassVar

from shared.contracts import Event, decode_structured, encode_structured, wrap
from shared.jobs import Handlers, Job, Reject, Retry, Snooze
from shared.service import Service
from shared.telemetry import Tracing
from tests.conformance.conftest import Lab


class CakeOrdered(Event):
    """An event is a fact, in the past tense, with a type that everybody knows it by."""

    type: ClassVar[str] = "cake.ordered"

    cake: str
    candles: int = 0


class CakeBaked(Event):
    """What comes of it is an event, too."""

    type: ClassVar[str] = "cake.baked"

    cake: str


def test_an_event_travels_in_an_envelope() -> None:
    envelope = wrap(CakeOrdered(cake="sacher"), source="/shop")

    assert envelope.type == "cake.ordered"
    assert envelope.data == b'{"cake":"sacher","candles":0}'
    assert decode_structured(encode_structured(envelope)) == envelope


async def test_a_handler_turns_an_event_into_a_job(lab: Lab) -> None:
    handlers = Handlers("bakery")

    @handlers.on(CakeOrdered)
    async def bake(order: CakeOrdered) -> str:
        return f"one {order.cake}"

    async with lab.service(handlers):
        (ordered,) = await lab.publish(CakeOrdered(cake="sacher"))
        job = await lab.reaches("succeeded", "bakery.bake", ordered)

    assert job.id == f"bakery.bake:{ordered.id}"
    assert job.to_api()["result"] == "one sacher"


async def test_what_a_handler_returns_happens_next(lab: Lab) -> None:
    handlers = Handlers("bakery")
    delivered = asyncio.Event()

    @handlers.on(CakeOrdered)
    async def bake(order: CakeOrdered) -> CakeBaked:
        return CakeBaked(cake=order.cake)

    @handlers.on(CakeBaked)
    async def deliver(baked: CakeBaked) -> None:
        assert baked.cake == "sacher"
        delivered.set()

    async with lab.service(handlers):
        await lab.publish(CakeOrdered(cake="sacher"))

        await asyncio.wait_for(delivered.wait(), timeout=5)


async def test_a_handler_knows_its_job_when_it_asks_for_it(lab: Lab) -> None:
    handlers = Handlers("bakery")

    @handlers.on(CakeOrdered)
    async def bake(order: CakeOrdered, job: Job) -> int:
        for candle in range(order.candles):
            await job.progress(candle + 1, order.candles, "candles")
        return job.attempt

    async with lab.service(handlers):
        (ordered,) = await lab.publish(CakeOrdered(cake="birthday", candles=3))
        job = await lab.reaches("succeeded", "bakery.bake", ordered)

    assert job.progress == {"done": 3, "total": 3, "note": "candles"}
    assert job.to_api()["result"] == 1


class Oven:
    def heat(self) -> int:
        return 180


@asynccontextmanager
async def kitchen(_: Tracing) -> AsyncGenerator[tuple[object, ...]]:
    yield (Oven(),)


async def test_what_else_a_handler_needs_is_given_by_its_type(lab: Lab) -> None:
    handlers = Handlers("bakery")

    @handlers.on(CakeOrdered)
    async def bake(order: CakeOrdered, oven: Oven) -> str:
        return f"{order.cake} at {oven.heat()}"

    service = Service("bakery", handlers, lab.settings, resources=kitchen)
    await service.start()
    (ordered,) = await lab.publish(CakeOrdered(cake="sacher"))
    job = await lab.reaches("succeeded", "bakery.bake", ordered)
    await service.stop()

    assert job.to_api()["result"] == "sacher at 180"


async def test_an_error_is_tried_again(lab: Lab) -> None:
    handlers = Handlers("bakery")

    @handlers.on(CakeOrdered, retry=Retry(attempts=3, base=timedelta(milliseconds=10)))
    async def bake(order: CakeOrdered, job: Job) -> str:
        if job.attempt < 3:
            raise RuntimeError(f"the {order.cake} fell down")
        return "baked"

    async with lab.service(handlers):
        (ordered,) = await lab.publish(CakeOrdered(cake="souffle"))
        job = await lab.reaches("succeeded", "bakery.bake", ordered)

    assert [attempt["error"]["message"] for attempt in job.attempts] == ["the souffle fell down"] * 2


async def test_a_handler_may_say_later_which_is_no_failure(lab: Lab) -> None:
    handlers, asked = Handlers("bakery"), list[str]()

    @handlers.on(CakeOrdered)
    async def bake(order: CakeOrdered) -> str | Snooze:
        asked.append(order.cake)
        return Snooze(timedelta(milliseconds=10)) if len(asked) == 1 else "the oven is free now"

    async with lab.service(handlers):
        (ordered,) = await lab.publish(CakeOrdered(cake="sacher"))
        job = await lab.reaches("succeeded", "bakery.bake", ordered)

    assert (job.attempt, job.attempts) == (1, [])


async def test_a_handler_may_say_never(lab: Lab) -> None:
    handlers = Handlers("bakery")

    @handlers.on(CakeOrdered)
    async def bake(order: CakeOrdered) -> Reject:
        return Reject(f"we bake no {order.cake}")

    async with lab.service(handlers):
        (ordered,) = await lab.publish(CakeOrdered(cake="mud pie"))
        job = await lab.reaches("dead", "bakery.bake", ordered)

    assert job.error is not None
    assert job.error["message"] == "we bake no mud pie"


async def test_a_dead_letter_keeps_the_event_and_every_attempt(lab: Lab) -> None:
    handlers = Handlers("bakery")

    @handlers.on(CakeOrdered, retry=Retry(attempts=2, base=timedelta(milliseconds=10)))
    async def bake(order: CakeOrdered) -> None:
        raise RuntimeError(f"the {order.cake} burnt")

    async with lab.service(handlers):
        (ordered,) = await lab.publish(CakeOrdered(cake="sacher"))
        await lab.reaches("dead", "bakery.bake", ordered)
        (letter,) = await lab.dead_letters("bakery.bake")

    assert letter.reason == "exhausted"
    assert letter.event == encode_structured(ordered)
    assert len(letter.attempts) == 2


async def test_an_event_that_comes_twice_is_one_job(lab: Lab) -> None:
    handlers, baked = Handlers("bakery"), list[str]()

    @handlers.on(CakeOrdered)
    async def bake(order: CakeOrdered) -> None:
        baked.append(order.cake)

    async with lab.service(handlers):
        (ordered,) = await lab.publish(CakeOrdered(cake="sacher"))
        await lab.bus.publish([ordered])
        await lab.bus.publish([ordered])
        await lab.reaches("succeeded", "bakery.bake", ordered)

    assert baked == ["sacher"]
