"""Chains: what a job caused is in the ledger before its cause is settled, so no lost bus breaks the chain."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger.recorder import GROUP, Recorder
from shared.bus.redis_streams import RedisClient
from shared.contracts import EmailBounced, EmailRequested, EmailSent, UserRegistered, caused_id, new_id
from shared.jobs import Handlers, Job, JobLog, JobReader, Registry
from tests.gateway.groups.conftest import House, mail
from tests.gateway.history.stand_in import WELCOME, Workers, accept, rows
from tests.until import until


async def test_a_chain_of_three_is_shown_link_by_link(house: House) -> None:
    handlers = Handlers("lab")

    @handlers.on(UserRegistered)
    async def welcome(event: UserRegistered) -> EmailRequested:
        return mail(event.user_id)

    @handlers.on(EmailRequested)
    async def send(event: EmailRequested) -> EmailSent:
        return EmailSent(email_id=event.email_id, relay_id="250 ok")

    @handlers.on(EmailSent)
    async def note(event: EmailSent, job: Job) -> EmailBounced:
        return EmailBounced(email_id=event.email_id, reason=job.envelope.correlation_id)

    async with house.service(handlers):
        first = await house.register()
        links = [await house.entered(first, settled=True)]
        for _ in range(3):
            links.append(await house.entered(links[-1]["caused"][0]["id"]))
        async with house.engine.connect() as connection:
            places = (await connection.execute(text("SELECT place FROM gateway.events"))).scalars().all()

    assert [link["type"] for link in links] == [
        "user.registered",
        "email.requested",
        "email.sent",
        "email.bounced",
    ]
    assert [link["causation_id"] for link in links] == [None, *(link["id"] for link in links[:-1])]
    assert {link["correlation_id"] for link in links} == {first}
    assert {link["trace_id"] for link in links} == {links[0]["trace_id"]}
    assert links[-1]["data"] == {"email_id": "m-u-1", "reason": first}
    assert all(link["published_at"] for link in links)
    assert len(places) == 4
    assert all(places), "the ledger knows where each of them lies"
    assert (links[-1]["jobs"], links[-1]["caused"]) == ([], [])


async def test_redis_keeps_a_copy_only_until_it_is_recorded(house: House) -> None:
    handlers = Handlers("lab")

    @handlers.on(EmailRequested)
    async def send(event: EmailRequested) -> tuple[EmailSent, EmailSent]:
        return EmailSent(email_id=event.email_id, relay_id="1"), EmailSent(email_id="copy", relay_id="2")

    async with house.service(handlers):
        opened = await house.open_group(
            {"type": "email.requested", "data": mail().model_dump(mode="json", exclude_none=True)}
        )
        [event_id] = opened["events"]
        job = await house.final(f"lab.send:{event_id}")
        caused = [await house.entered(event["id"]) for event in job["caused"]]

        async def freed() -> bool:
            return not await house.redis.hexists(f"job:{{lab.send}}:{event_id}", "caused_events")

        await until(freed)
        job = await house.final(f"lab.send:{event_id}")

    assert [event["data"]["relay_id"] for event in caused] == ["1", "2"]
    assert [event["id"] for event in job["caused"]] == [event["id"] for event in caused]
    assert job["result"] == [event["data"] for event in caused]


@pytest.mark.parametrize("bus_name", ["redis"], indirect=True)
async def test_a_cause_is_not_settled_before_what_it_caused_is_in_the_ledger(house: House) -> None:
    handlers = Handlers("lab")

    @handlers.on(UserRegistered)
    async def welcome(event: UserRegistered) -> EmailRequested:
        return mail(event.user_id)

    async with house.service(handlers), house.engine.connect() as blocking:
        event = {"specversion": "1.0", "id": new_id(), "source": "/shop", "type": "user.registered"}
        caused = caused_id(f"lab.welcome:{event['id']}", "email.requested", 0)
        await accept_in(blocking, caused)
        data = {"user_id": "u-1", "name": "Ada", "email": "ada@example.com"}
        headers = {"content-type": "application/cloudevents+json"}
        await house.client.post("/v1/events", json=event | {"data": data}, headers=headers)
        await until(lambda: waits_for_a_lock(house.engine))
        blocked = await house.event(event["id"])
        await blocking.rollback()
        settled = await house.entered(event["id"], settled=True)

    assert blocked is not None
    assert blocked["settled_at"] is None
    assert settled["caused"] == [{"id": caused, "type": "email.requested"}]
    assert await house.event(caused) is not None


async def accept_in(connection: Any, event_id: str) -> None:
    """Enter an event and do not commit: who enters it, too, has to wait."""
    insert = """
        INSERT INTO gateway.events (id, type, source, attributes, data)
        VALUES (:id, 'email.requested', '/t', '{}', '{}')
    """
    await connection.execute(text(insert), {"id": event_id})


async def waits_for_a_lock(engine: AsyncEngine) -> bool:
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    return bool(await rows(engine, waiting))


async def test_a_job_is_not_known_to_have_ended_when_redis_lost_what_it_caused(
    redis: RedisClient, engine: AsyncEngine
) -> None:
    workers, event_id = Workers(redis), new_id()
    await workers.register(WELCOME)
    await accept(engine, event_id)
    log, reader, registry = JobLog(redis), JobReader(redis), Registry(redis)
    recorder = Recorder(log, reader, registry, engine)
    await log.join(GROUP)
    await workers.write(event_id, "succeeded")
    recorder._batch = await log.take(GROUP, "one", block=timedelta(seconds=1))
    await redis.flushall()
    await workers.register(WELCOME)

    await recorder._record_next()

    assert await rows(engine, "SELECT 1 FROM gateway.jobs") == []
    assert await rows(engine, "SELECT 1 FROM gateway.events WHERE settled_at IS NOT NULL") == []
