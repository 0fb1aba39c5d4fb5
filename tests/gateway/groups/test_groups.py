"""Groups: what follows them comes once all their jobs have ended, however they end, and comes once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.settings import GatewaySettings
from shared.bus.redis_streams import RedisClient
from shared.contracts import EmailBounced, EmailRequested, EmailSent, Event, UserRegistered
from shared.jobs import Group, GroupEnd, Handlers, Job, Reject, Retry, then_id
from tests.gateway.door.conftest import served
from tests.gateway.groups.conftest import THEN, House, mail, member
from tests.until import until


class Followed:
    """A handler of what follows a group; keeps how each group ended."""

    def __init__(self, handlers: Handlers) -> None:
        self.ends: list[tuple[Event, GroupEnd | None, dict[str, str]]] = []

        @handlers.on(EmailBounced)
        async def follow(event: EmailBounced, job: Job) -> None:
            self.ends.append((event, job.group, job.envelope.attributes))

    async def once(self, *, within: float = 20) -> tuple[Event, GroupEnd | None, dict[str, str]]:
        """The one that followed."""

        async def followed() -> bool:
            return bool(self.ends)

        await until(followed, within=within, what="what follows the group")
        assert len(self.ends) == 1
        return self.ends[0]


async def test_what_follows_a_handlers_group_comes_when_all_have_succeeded(house: House) -> None:
    handlers = Handlers("lab")
    followed, go_on = Followed(handlers), asyncio.Event()

    @handlers.on(UserRegistered)
    async def invite(event: UserRegistered) -> Group:
        then = EmailBounced(email_id=event.user_id, reason="all sent")
        return Group(events=[mail(n) for n in range(3)], then=then)

    @handlers.on(EmailRequested)
    async def send(event: EmailRequested) -> None:
        if event.email_id == "m-2":
            await go_on.wait()

    async with house.service(handlers):
        event_id = await house.register()
        opener = await house.final(f"lab.invite:{event_id}")
        group_id = opener["result"]["group"]["id"]
        await house.final(f"lab.send:{opener['caused'][0]['id']}")
        open_group = await until(lambda: settled(house, group_id, 2))
        go_on.set()
        event, end, attributes = await followed.once()
        group = await house.completed(group_id)

    assert open_group["state"] == "open"
    assert (group["members"], group["settled"], group["failed"]) == (3, 3, 0)
    assert group["opened_by"] == opener["id"]
    assert event == EmailBounced(email_id="u-1", reason="all sent")
    assert end == GroupEnd(group_id, 3, 0)
    assert (attributes["causationid"], attributes["correlationid"]) == (event_id, event_id)
    assert attributes["traceparent"].split("-")[1] == opener["trace_id"]


async def settled(house: House, group_id: str, count: int) -> dict[str, Any] | None:
    """The group, once it is known and that many of its events are settled."""
    answer = await house.client.get(f"/v1/groups/{group_id}")
    return answer.json() if answer.is_success and answer.json()["settled"] == count else None


async def test_a_posted_group_ends_however_its_jobs_end(house: House) -> None:
    handlers = Handlers("lab")
    followed, runs = Followed(handlers), asyncio.Event()

    @handlers.on(EmailRequested, retry=Retry(attempts=2, base=timedelta(milliseconds=10)))
    async def send(event: EmailRequested) -> Reject | None:
        match event.email_id:
            case "m-rejected":
                return Reject("no such address")
            case "m-failing":
                raise ValueError("never")
            case "m-cancelled":
                runs.set()
                await asyncio.sleep(60)
            case _:
                pass
        return None

    async with house.service(handlers):
        opened = await house.open_group(
            member("fine"),
            member("rejected"),
            member("failing"),
            member("cancelled"),
            member("expired", expires_at=(datetime.now(UTC) - timedelta(seconds=1)).isoformat()),
        )
        jobs = [f"lab.send:{event_id}" for event_id in opened["events"]]
        await runs.wait()
        assert (await house.client.post(f"/v1/jobs/{jobs[3]}/cancel")).status_code == 202
        states = [(await house.final(job))["state"] for job in jobs]
        event, end, attributes = await followed.once()

    assert states == ["succeeded", "dead", "dead", "cancelled", "expired"]
    assert end == GroupEnd(opened["id"], 5, 4)
    assert event.model_dump() == THEN["data"]
    assert attributes["correlationid"] == opened["id"]
    group = await house.group(opened["id"])
    assert (group["state"], group["settled"], group["failed"]) == ("completed", 5, 4)


async def test_a_group_waits_for_a_worker_that_comes_later_and_for_a_gateway(house: House) -> None:
    handlers = Handlers("lab")
    followed = Followed(handlers)

    @handlers.on(EmailRequested)
    async def send(event: EmailRequested) -> str:
        return event.email_id

    async with house.service(handlers):
        pass  # known to the buses, and gone
    async with served(house.settings) as another:
        answer = await another.post("/v1/groups", json={"events": [member(1), member(2)], "then": THEN})
        opened = answer.json()
    waiting = await house.group(opened["id"])
    async with house.service(handlers):
        _, end, _ = await followed.once()

    assert (waiting["state"], waiting["settled"]) == ("open", 0)
    assert end == GroupEnd(opened["id"], 2, 0)


async def test_a_group_whose_events_ended_without_a_gateway_is_completed_by_the_next(
    settings: GatewaySettings, engine: AsyncEngine, redis: RedisClient
) -> None:
    handlers = Handlers("lab")
    followed = Followed(handlers)

    @handlers.on(EmailRequested)
    async def send(event: EmailRequested) -> str:
        return event.email_id

    async with served(settings) as client:
        house = House(settings, client, engine, redis)
        async with house.service(handlers):
            pass  # known to the buses, and gone
        opened = await house.open_group(member(1), member(2))
    async with house.service(handlers):

        async def all_ran() -> bool:
            states = [await redis.hget(f"job:{{lab.send}}:{id_}", "state") for id_ in opened["events"]]
            return states == [b"succeeded", b"succeeded"]

        await until(all_ran)
        async with served(settings):
            _, end, _ = await followed.once()

    assert end == GroupEnd(opened["id"], 2, 0)


async def test_a_group_without_events_is_followed_at_once(house: House) -> None:
    handlers = Handlers("lab")
    followed = Followed(handlers)

    @handlers.on(UserRegistered)
    async def invite(event: UserRegistered) -> Group:
        return Group(events=[], then=EmailBounced(email_id=event.user_id, reason="nobody to invite"))

    async with house.service(handlers):
        opened = await house.open_group()
        _, posted, _ = await followed.once()
        followed.ends.clear()
        event_id = await house.register()
        opener = await house.final(f"lab.invite:{event_id}")
        _, returned, _ = await followed.once()

    assert (opened["state"], opened["events"]) == ("completed", [])
    assert posted == GroupEnd(opened["id"], 0, 0)
    assert returned == GroupEnd(opener["result"]["group"]["id"], 0, 0)


async def test_a_group_within_a_group_is_not_waited_for_by_the_outer(house: House) -> None:
    handlers = Handlers("lab")
    followed, go_on = Followed(handlers), asyncio.Event()

    @handlers.on(UserRegistered)
    async def outer(event: UserRegistered) -> Group:
        then = EmailBounced(email_id="outer", reason=event.user_id)
        return Group(events=[mail("inner")], then=then)

    @handlers.on(EmailRequested)
    async def inner(event: EmailRequested) -> Group:
        then = EmailBounced(email_id=event.email_id, reason="inner")
        return Group(events=[EmailSent(email_id="slow", relay_id="1")], then=then)

    @handlers.on(EmailSent)
    async def note(event: EmailSent) -> str:
        await go_on.wait()
        return event.relay_id

    async with house.service(handlers):
        event_id = await house.register()
        first, _, _ = await followed.once()
        go_on.set()

        async def both() -> bool:
            return len(followed.ends) == 2

        await until(both, within=20)

    assert [event.model_dump()["email_id"] for event, _, _ in followed.ends] == ["outer", "m-inner"]
    assert first.model_dump()["reason"] == "u-1"
    assert {attributes["correlationid"] for _, _, attributes in followed.ends} == {event_id}


@pytest.mark.parametrize("bus_name", ["redis"], indirect=True)
async def test_a_large_group_is_followed_once(house: House) -> None:
    handlers = Handlers("lab")
    followed = Followed(handlers)

    @handlers.on(UserRegistered)
    async def invite(event: UserRegistered) -> Group:
        return Group(
            events=[mail(n) for n in range(1500)], then=EmailBounced(email_id="all", reason=event.name)
        )

    @handlers.on(EmailRequested)
    async def send(event: EmailRequested) -> Reject | None:
        return Reject("odd") if event.email_id.endswith("1") else None

    async with house.service(handlers):
        event_id = await house.register()
        _, end, _ = await followed.once()
        opener = await house.final(f"lab.invite:{event_id}")

    group = opener["result"]["group"]
    assert end == GroupEnd(group["id"], 1500, 150)
    assert group["then"]["id"] == then_id(group["id"])
