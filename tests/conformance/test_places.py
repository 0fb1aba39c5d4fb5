"""Where an event lies: publishing tells it, and anybody can look whether it still lies there."""

import pytest

from shared.bus import Message
from shared.contracts import wrap
from shared.errors import BusUnavailable
from shared.jobs import Handlers
from shared.settings import Secret
from tests.conformance.conftest import Asked, Lab, MakeLab


def answering() -> Handlers:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    return handlers


async def test_a_place_is_the_same_however_often_an_event_is_published(lab: Lab) -> None:
    async with lab.service(answering()):
        envelope = wrap(Asked(n=1), source="/lab")

        first = await lab.bus.publish([envelope])
        await lab.reaches("succeeded", "lab.answer", envelope)
        second = await lab.bus.publish([envelope])

    assert first == second
    assert first[envelope.id].startswith(f"{lab.bus_name}:")


async def test_an_event_lies_at_its_place_until_every_handler_is_through_with_it(lab: Lab) -> None:
    handlers = answering()
    async with lab.service(handlers):
        pass
    envelope = wrap(Asked(n=1), source="/lab")
    message = Message(envelope.id, (await lab.bus.publish([envelope]))[envelope.id])

    before = await lab.bus.places.holding([message])
    waiting_before = await lab.bus.places.are_waiting("lab.answer", Asked.type)
    async with lab.service(handlers):
        await lab.reaches("succeeded", "lab.answer", envelope)
        await lab.settles("lab.answer")
    after = await lab.bus.places.holding([message])
    waiting_after = await lab.bus.places.are_waiting("lab.answer", Asked.type)

    assert (before, after) == ({message}, set())
    assert (waiting_before, waiting_after) == (True, False)


async def test_an_event_on_both_buses_lies_there_as_long_as_on_one(make_lab: MakeLab) -> None:
    lab = await make_lab(bus_routes="*=redis+nats")
    async with lab.service(answering()):
        pass
    envelope = wrap(Asked(n=1), source="/lab")
    message = Message(envelope.id, (await lab.bus.publish([envelope]))[envelope.id])

    await lab.redis.delete("events:lab.asked")
    on_one = await lab.bus.places.holding([message])
    await lab.jetstream.delete_stream("EVENTS")
    on_none = await lab.bus.places.holding([message])

    assert (on_one, on_none) == ({message}, set())


async def test_a_place_that_another_event_has_taken_since_does_not_count(lab: Lab) -> None:
    handlers = answering()
    async with lab.service(handlers):
        pass
    (old,) = await lab.publish(Asked(n=1))
    place = (await lab.bus.publish([old]))[old.id]
    if lab.bus_name == "nats":
        await lab.jetstream.delete_stream("EVENTS")
    else:
        await lab.redis.delete("events:lab.asked")
    async with lab.service(handlers):
        pass

    await lab.publish(Asked(n=2))

    assert await lab.bus.places.holding([Message(old.id, place)]) == set()


@pytest.mark.parametrize("place", ["redis:events:lab.asked 1-0", "nats:EVENTS 1"])
async def test_nobody_can_tell_what_lies_on_a_bus_that_is_away(make_lab: MakeLab, place: str) -> None:
    nowhere = {"redis_url": Secret("redis://127.0.0.1:9/0"), "nats_url": Secret("nats://127.0.0.1:9")}
    lab = await make_lab(**nowhere)

    with pytest.raises(BusUnavailable):
        await lab.bus.places.holding([Message("0", place)])
    with pytest.raises(BusUnavailable):
        await lab.bus.places.are_waiting("lab.answer", Asked.type)
