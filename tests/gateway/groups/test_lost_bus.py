"""Groups and chains when a bus loses all it holds, or nobody handles an event: they end all the same."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.settings import GatewaySettings
from shared.bus.redis_streams import RedisClient
from shared.contracts import EmailBounced, EmailRequested, EmailSent, UserRegistered
from shared.jobs import Group, GroupEnd, Handlers
from tests.gateway.door.conftest import served
from tests.gateway.groups.conftest import House, mail, member
from tests.gateway.groups.test_groups import Followed
from tests.until import until


@pytest.fixture
async def house(settings: GatewaySettings, engine: AsyncEngine, redis: RedisClient) -> AsyncIterator[House]:
    """A gateway that looks for lost jobs soon."""
    soon = settings.model_copy(update={"reconcile_after": timedelta(seconds=1)})
    async with served(soon) as client:
        yield House(soon, client, engine, redis)


async def test_events_that_nobody_handles_hold_up_no_group(house: House) -> None:
    handlers = Handlers("lab")
    followed = Followed(handlers)

    async with house.service(handlers):
        opened = await house.open_group(member(1), member(2))
        _, end, _ = await followed.once()

    assert end == GroupEnd(opened["id"], 2, 0)


@pytest.mark.parametrize("when", ["the group was opened", "its events run"])
async def test_a_group_ends_though_redis_loses_everything(house: House, when: str) -> None:
    handlers = Handlers("lab")
    followed, opening, running, go_on = Followed(handlers), asyncio.Event(), asyncio.Event(), asyncio.Event()

    @handlers.on(UserRegistered)
    async def invite(event: UserRegistered) -> Group:
        opening.set()
        then = EmailBounced(email_id=event.user_id, reason="all sent")
        return Group(events=[mail(n) for n in range(20)], then=then)

    @handlers.on(EmailRequested)
    async def send(event: EmailRequested) -> EmailSent:
        running.set()
        await go_on.wait()
        return EmailSent(email_id=event.email_id, relay_id="1")

    async with house.service(handlers):
        event_id = await house.register()
        await (opening if when == "the group was opened" else running).wait()
        await house.redis.flushall()
        go_on.set()
        _, end, _ = await followed.once(within=60)

        async def all_entered() -> bool:
            caused = (await house.entered(event_id))["caused"]
            mails = [
                await house.event(event["id"]) for event in caused if event["type"] == EmailRequested.type
            ]
            return len(mails) == 20 and all(mail and mail["settled_at"] and mail["caused"] for mail in mails)

        await until(all_entered, within=60)

    assert end is not None
    assert (end.size, end.failed) == (20, 0)


async def test_a_group_ends_though_the_log_of_jobs_was_lost(house: House) -> None:
    handlers = Handlers("lab")
    followed, go_on = Followed(handlers), asyncio.Event()

    @handlers.on(EmailRequested)
    async def send(event: EmailRequested) -> str:
        await go_on.wait()
        return event.email_id

    async with house.service(handlers):
        opened = await house.open_group(member(1), member(2))
        jobs = [f"lab.send:{event_id}" for event_id in opened["events"]]
        go_on.set()
        for job in jobs:
            await house.final(job)
        await house.redis.delete("jobs:log")
        _, end, _ = await followed.once(within=60)

    assert end == GroupEnd(opened["id"], 2, 0)
