"""The sweep over open groups: whatever the recorders missed, a group is completed, and once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.ledger import groups
from gateway.ledger.group_sweep import GroupSweep
from gateway.ledger.groups import GroupEntry, GroupState
from gateway.ledger.settling import settle
from shared.contracts import EmailBounced, Envelope, new_id, wrap
from shared.jobs import HandlerRecord, then_id
from tests.gateway.groups.conftest import House, member
from tests.gateway.history.stand_in import WELCOME, accept, rows
from tests.until import until

HANDLERS = {
    WELCOME: HandlerRecord(
        name=WELCOME,
        service="email",
        event_type="user.registered",
        max_attempts=5,
        concurrency=64,
        time_limit_s=30.0,
        version="1",
        description="",
        registered_at="2026-01-01T00:00:00Z",
    )
}


def entry(*members: str) -> GroupEntry:
    group_id = new_id()
    event = EmailBounced(email_id="all", reason="done")
    return GroupEntry(group_id, "lab.a:1", wrap(event, source="/lab", id=then_id(group_id)), members)


async def job_ends(connection: AsyncConnection, event_id: str, state: str = "succeeded") -> None:
    """The history's row of the one job of the event."""
    insert = """
        INSERT INTO gateway.jobs (
            id, handler, service, event_id, event_type, state, attempt, max_attempts, queued_at, position
        ) VALUES (:job, :handler, 'email', :id, 'user.registered', :state, 1, 5, now(), 1)
    """
    values = {"job": f"{WELCOME}:{event_id}", "handler": WELCOME, "id": event_id, "state": state}
    await connection.execute(text(insert), values)


async def state(engine: AsyncEngine, group: GroupEntry) -> GroupState:
    async with engine.connect() as connection:
        found = await groups.find(connection, group.id)
    assert found is not None
    return found


class Handed:
    """What the relay would be handed over."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def __call__(self, envelopes: Sequence[Envelope]) -> None:
        self.ids += [envelope.id for envelope in envelopes]


def sweep(engine: AsyncEngine, handed: Handed) -> GroupSweep:
    return GroupSweep(engine, hand_over=handed)


async def test_a_group_that_two_recorders_missed_is_completed(engine: AsyncEngine) -> None:
    event_id, handed = new_id(), Handed()
    await accept(engine, event_id)
    async with engine.begin() as connection:
        await job_ends(connection, event_id, "dead")
    group = entry(event_id)

    # One recorder opens the group while another settles its last event: neither sees what the other does.
    async with engine.connect() as opening, engine.connect() as settling:
        await groups.open_groups(opening, [group])
        await settle(settling, {UUID(event_id): "user.registered"}, HANDLERS)
        assert await groups.mark(settling, events=[event_id]) == set()
        await opening.commit()
        assert await groups.mark(opening, groups=[group.id]) == set()
        await opening.commit()
        await settling.commit()
        assert await groups.complete(opening, [group.id]) == []
        assert await groups.complete(settling, [group.id]) == []
    missed = await state(engine, group)
    await sweep(engine, handed).sweep()

    assert (missed.settled, missed.completed_at) == (0, None)
    found = await state(engine, group)
    assert (found.settled, found.failed) == (1, 1)
    assert found.completed_at is not None
    assert handed.ids == [then_id(group.id)]


async def test_four_who_look_at_once_complete_each_group_once(engine: AsyncEngine) -> None:
    handed, event_ids = Handed(), [new_id() for _ in range(45)]
    entries = [entry(event_id) for event_id in event_ids]
    for event_id in event_ids:
        await accept(engine, event_id)
    async with engine.begin() as connection:
        await groups.open_groups(connection, entries)
        await connection.execute(text("UPDATE gateway.events SET settled_at = now()"))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(sweep(engine, handed).sweep())

    assert sorted(handed.ids) == sorted(then_id(group.id) for group in entries)
    unpublished = "SELECT id::text FROM gateway.events WHERE published_at IS NULL AND type = 'email.bounced'"
    assert len(await rows(engine, unpublished)) == 45
    assert await sweep(engine, handed).sweep() == 0
    assert len(handed.ids) == 45


async def test_marks_of_two_transactions_are_seen_by_who_completes_after_both(engine: AsyncEngine) -> None:
    first, second = new_id(), new_id()
    for event_id in (first, second):
        await accept(engine, event_id)
    group = entry(first, second)
    async with engine.begin() as connection:
        await groups.open_groups(connection, [group])
        await connection.execute(text("UPDATE gateway.events SET settled_at = now()"))

    async with engine.connect() as one, engine.connect() as other:
        assert await groups.mark(one, events=[first]) == {group.id}
        assert await groups.mark(other, events=[second]) == {group.id}
        await one.commit()
        await other.commit()
        followed = await groups.complete(other, [group.id])
        await other.commit()

    assert [envelope.id for envelope in followed] == [then_id(group.id)]


async def test_of_two_who_complete_a_group_at_once_the_second_neither_waits_nor_repeats(
    engine: AsyncEngine,
) -> None:
    group = entry()
    async with engine.begin() as connection:
        await groups.open_groups(connection, [group])

    async with engine.connect() as one, engine.connect() as other:
        first = await groups.complete(one, [group.id])
        meanwhile = await groups.complete(other, [group.id])
        await one.commit()
        afterwards = await groups.complete(other, [group.id])

    assert [envelope.id for envelope in first] == [then_id(group.id)]
    assert (meanwhile, afterwards) == ([], [])


async def test_a_group_that_is_known_already_keeps_its_events(engine: AsyncEngine) -> None:
    group = entry(new_id())

    async with engine.begin() as connection:
        await groups.open_groups(connection, [group])
        await groups.open_groups(connection, [group._replace(members=[*group.members, new_id()])])

    assert len(await rows(engine, "SELECT 1 FROM gateway.group_members")) == 1


async def test_an_event_that_was_removed_from_the_ledger_holds_up_no_group(engine: AsyncEngine) -> None:
    group, handed = entry(new_id()), Handed()
    async with engine.begin() as connection:
        await groups.open_groups(connection, [group])

    await sweep(engine, handed).sweep()

    assert handed.ids == [then_id(group.id)]


async def test_the_older_a_group_the_rarer_it_is_looked_at(engine: AsyncEngine) -> None:
    ages = {"young": timedelta(0), "of a minute": timedelta(minutes=1), "old": timedelta(days=3)}
    entries = {name: entry(new_id()) for name in ages}
    for one in entries.values():
        await accept(engine, one.members[0])
    async with engine.begin() as connection:
        await groups.open_groups(connection, [*entries.values()])
        for name, age in ages.items():
            values = {"id": entries[name].id, "age": age}
            await connection.execute(
                text("UPDATE gateway.groups SET created_at = now() - CAST(:age AS interval) WHERE id = :id"),
                values,
            )
    before = datetime.now(UTC)

    assert await sweep(engine, Handed()).sweep() == 0
    assert await sweep(engine, Handed()).sweep() == 0

    found = await rows(engine, "SELECT id::text, check_at FROM gateway.groups")
    due_in = {row["id"]: (row["check_at"] - before).total_seconds() for row in found}
    young, minute, old = (due_in[entries[name].id] for name in ages)
    assert 1 < young < 5
    assert 5 < minute < 9
    assert 50 < old < 65


async def test_a_group_is_completed_when_its_events_are_settled_by_who_knows_no_groups(house: House) -> None:
    """As events are whose type has no handler, and those whose log was lost."""
    opened = await house.open_group(member(1), member(2))

    async with house.engine.begin() as connection:
        await connection.execute(text("UPDATE gateway.events SET settled_at = now()"))

    group = await house.completed(opened["id"])
    following = await house.entered(group["then"]["id"])
    assert following["attributes"]["groupsize"] == "2"
    assert following["attributes"]["groupfailed"] == "0"

    async def published() -> bool:
        event = await house.event(group["then"]["id"])
        return event is not None and event["published_at"] is not None

    await until(published)
