"""A bus that dies and comes back, with its data or without: the service goes on by itself."""

import asyncio

from shared.contracts import Envelope, wrap
from shared.jobs import Handlers
from tests.conformance.conftest import Asked, Lab
from tests.conftest import Servers
from tests.servers import AnyServer
from tests.until import until


def server_of(lab: Lab, servers: Servers) -> AnyServer:
    return servers.redis if lab.bus_name == "redis" else servers.nats


async def restart(lab: Lab, servers: Servers) -> None:
    server = server_of(lab, servers)
    await asyncio.to_thread(servers.background.run, server.kill())
    await asyncio.to_thread(servers.background.run, server.start())


async def publish_until_there(lab: Lab, envelopes: list[Envelope]) -> None:
    missing = envelopes

    async def all_there() -> bool:
        nonlocal missing
        there = await lab.bus.publish(missing)
        missing = [envelope for envelope in missing if envelope.id not in there]
        return not missing

    await until(all_there, within=20)


async def test_a_bus_that_is_killed_and_started_again_loses_no_event(lab: Lab, servers: Servers) -> None:
    handlers, seen = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        seen.append(event.n)
        await asyncio.sleep(0.01)

    async with lab.service(handlers):
        before = await lab.publish(*(Asked(n=n) for n in range(200)))
        await restart(lab, servers)
        after = [asked(n) for n in range(200, 220)]
        await publish_until_there(lab, after)
        for envelope in [*before, *after]:
            await lab.reaches("succeeded", "lab.answer", envelope, within=30)

    assert set(seen) == set(range(220))


async def test_a_bus_that_comes_back_empty_is_furnished_again(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    async with lab.service(handlers):
        (first,) = await lab.publish(Asked(n=1))
        await lab.reaches("succeeded", "lab.answer", first)
        await lab.settles("lab.answer")
        if lab.bus_name == "redis":
            await lab.redis.flushall()
        else:
            await lab.jetstream.delete_stream("EVENTS")

        published: list[str] = []

        async def handled_again() -> bool:
            """Any of those that were published since; the first may come before the consumer is back."""
            envelope = asked(2)
            published.extend(await lab.bus.publish([envelope]))
            jobs = [await lab.job("lab.answer", event_id) for event_id in published[-50:]]
            return any(job is not None and job.state == "succeeded" for job in jobs)

        assert await until(handled_again, within=20)


def asked(n: int) -> Envelope:
    return wrap(Asked(n=n), source="/lab")
