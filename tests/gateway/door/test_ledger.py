import asyncio
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger.known import IdTaken
from gateway.ledger.ledger import Ledger
from shared.contracts import Envelope
from tests.gateway.door.conftest import Query
from tests.gateway.door.events import registered


@pytest.fixture
def handed_over() -> list[Envelope]:
    return []


@pytest.fixture
async def ledger(engine: AsyncEngine, handed_over: list[Envelope]) -> AsyncIterator[Ledger]:
    async with Ledger(engine, hand_over=handed_over.extend) as ledger:
        yield ledger


async def test_events_that_arrive_together_share_a_commit(
    ledger: Ledger, query: Query, handed_over: list[Envelope]
) -> None:
    events = [registered(n) for n in range(200)]

    await asyncio.gather(*(ledger.accept([envelope]) for envelope in events))

    [row] = await query("SELECT count(*), count(DISTINCT xmin::text) FROM gateway.events")
    assert row[0] == 200
    assert row[1] <= 3  # each transaction has a number of its own
    assert {envelope.id for envelope in handed_over} == {envelope.id for envelope in events}


async def test_a_row_that_postgres_refuses_does_not_harm_its_neighbours(ledger: Ledger, query: Query) -> None:
    good = [registered(n) for n in range(5)]
    bad = replace(registered(), source="a\0b")  # no text in Postgres holds a NUL

    answers = await asyncio.gather(
        *(ledger.accept([envelope]) for envelope in [*good[:2], bad, *good[2:]]), return_exceptions=True
    )

    assert [isinstance(answer, asyncpg.PostgresError) for answer in answers] == [
        False,
        False,
        True,
        False,
        False,
        False,
    ]
    assert {str(row["id"]) for row in await query("SELECT id FROM gateway.events")} == {
        one.id for one in good
    }


async def test_the_same_event_at_the_same_time_is_accepted_once(
    ledger: Ledger, query: Query, handed_over: list[Envelope]
) -> None:
    one = registered()

    answers = await asyncio.gather(*(ledger.accept([one]) for _ in range(10)))

    assert sorted(answer.is_duplicate for [answer] in answers) == [False] + [True] * 9
    assert len(await query("SELECT FROM gateway.events")) == len(handed_over) == 1


async def test_the_same_id_with_other_content_in_one_commit_is_refused(ledger: Ledger) -> None:
    one = registered(1)
    other = replace(registered(2), id=one.id)

    first, second = await asyncio.gather(ledger.accept([one]), ledger.accept([other]), return_exceptions=True)

    assert isinstance(first, Sequence)
    assert isinstance(second, IdTaken)


async def test_what_is_rolled_back_is_handed_to_nobody(
    ledger: Ledger, query: Query, handed_over: list[Envelope]
) -> None:
    async def change_ones_mind() -> None:
        async with ledger.transaction() as transaction:
            await transaction.write(registered())
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await change_ones_mind()

    assert handed_over == await query("SELECT FROM gateway.events") == []


async def test_a_connection_that_broke_is_replaced(ledger: Ledger, query: Query) -> None:
    await ledger.accept([registered()])
    await query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'trunkline-gateway'"
    )

    await ledger.accept([registered()])

    assert len(await query("SELECT FROM gateway.events")) == 2
