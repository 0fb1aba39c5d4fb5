"""Groups as the recorder sees them: it opens and completes them by itself, without waiting for the sweep."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger.recorder import Recorder
from shared.bus.redis_streams import RedisClient
from shared.contracts import EmailBounced, UserRegistered, encode_structured, new_id, wrap
from shared.jobs import JobLog, JobReader, OpenedGroup, Registry, then_id
from shared.jobs.groups import encode_group
from tests.gateway.groups.test_sweep import Handed
from tests.gateway.history.stand_in import WELCOME, Workers, accept, recorded, rows
from tests.until import until

OPENER = "lab.invite"


def opened(*members: str) -> tuple[str, dict[str, Any]]:
    """A group's id, and what the hash of its opener's job holds."""
    group_id = new_id()
    user = UserRegistered(user_id="u-1", name="Ada", email="ada@example.com")
    events = [encode_structured(wrap(user, source="/lab", id=member)) for member in members]
    then = wrap(EmailBounced(email_id="all", reason="done"), source="/lab", id=then_id(group_id))
    fields = {
        "caused_events": b"[" + b",".join(events) + b"]",
        "group": encode_group(OpenedGroup(group_id, then)),
        "event_type": "lab.asked",
    }
    return group_id, fields


@pytest.fixture
def workers(redis: RedisClient) -> Workers:
    return Workers(redis)


def recorder(redis: RedisClient, engine: AsyncEngine, handed: Handed) -> Recorder:
    return Recorder(JobLog(redis), JobReader(redis), Registry(redis), engine, hand_over=handed)


@pytest.mark.parametrize("opened_first", [True, False])
async def test_the_recorder_completes_a_group_when_its_last_event_is_settled(
    redis: RedisClient, engine: AsyncEngine, workers: Workers, *, opened_first: bool
) -> None:
    handed, opener, members = Handed(), new_id(), [new_id(), new_id()]
    await workers.register(WELCOME)
    for member in members:
        await accept(engine, member)
    group_id, fields = opened(*members)

    async with recorder(redis, engine, handed):
        if opened_first:
            await workers.write(opener, "succeeded", handler=OPENER, **fields)
            await recorded(engine, f"{OPENER}:{opener}", "succeeded")
        for member in members:
            assert handed.ids == []
            await workers.write(member, "succeeded")
            await recorded(engine, f"{WELCOME}:{member}", "succeeded")
        if not opened_first:
            await workers.write(opener, "succeeded", handler=OPENER, **fields)

        async def handed_over() -> bool:
            return handed.ids == [then_id(group_id)]

        await until(handed_over)

    [group] = await rows(engine, "SELECT opened_by, members, completed_at FROM gateway.groups")
    assert (group["opened_by"], group["members"]) == (f"{OPENER}:{opener}", 2)
    assert group["completed_at"] is not None


@pytest.mark.parametrize(
    "broken", [{"group": b"{"}, {"group": b'{"id": "x", "then": {}}'}, {"caused_events": b"["}]
)
async def test_what_nobody_can_read_of_a_group_does_not_hold_up_other_jobs(
    redis: RedisClient, engine: AsyncEngine, workers: Workers, broken: dict[str, Any]
) -> None:
    odd, plain = new_id(), new_id()
    _, fields = opened(new_id())

    async with recorder(redis, engine, Handed()):
        await workers.write_hash(odd, "succeeded", handler=OPENER, **fields | broken)
        await workers.write_hash(plain, "succeeded", handler=OPENER)
        await workers.tell([(odd, "succeeded", 1), (plain, "succeeded", 1)], handler=OPENER)

        await recorded(engine, f"{OPENER}:{plain}", "succeeded")
        await recorded(engine, f"{OPENER}:{odd}", "succeeded")
    assert await rows(engine, "SELECT 1 FROM gateway.groups") == []
