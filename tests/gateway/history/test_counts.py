"""GET /v1/jobs/counts, and lists by worker: what is counted, by which filters, and how far."""

from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.history.counts import count_by_state
from gateway.history.job_filter import Filter
from shared.clock import rfc3339
from shared.contracts import new_id
from shared.jobs import Registry, State
from tests.gateway.history.stand_in import WELCOME, Workers, accept, recorded
from tests.gateway.history.test_lists import all_pages

RECORD = "report.record_user"
PROCESS = "file.process"
NOTHING = dict.fromkeys((state.value for state in State), 0)


async def counts(client: AsyncClient, **params: Any) -> dict[str, int]:
    """The counts that are not zero."""
    answer = await client.get("/v1/jobs/counts", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.json()["cap"] == 10_000
    assert answer.json()["counts"].keys() == NOTHING.keys()
    return {state: count for state, count in answer.json()["counts"].items() if count}


@pytest.fixture
async def jobs(workers: Workers, engine: AsyncEngine, recorder: object) -> dict[str, str]:
    """A job in each state of the history, of two handlers and two workers; by state."""
    assert recorder
    made: dict[str, str] = {}
    error = {"type": "RelayBusy", "message": "relay busy", "stack": ""}
    for state in State:
        event_id, handler = new_id(), RECORD if state in {State.DEAD, State.RUNNING} else WELCOME
        failed: dict[str, Any] = {"error": error, "reason": "exhausted"} if state == State.DEAD else {}
        worker = "w2" if state in {State.RUNNING, State.SUCCEEDED} else "w1"
        await workers.write(event_id, state, handler=handler, worker=worker, **failed)
        await recorded(engine, f"{handler}:{event_id}", state)
        made[state] = f"{handler}:{event_id}"
    return made


@pytest.mark.usefixtures("jobs")
async def test_jobs_are_counted_by_state(client: AsyncClient) -> None:
    assert await counts(client) == dict.fromkeys(NOTHING, 1)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"handler": RECORD}, {"running", "dead"}),
        ({"service": "report"}, {"running", "dead"}),
        ({"worker": "w2"}, {"running", "succeeded"}),
        ({"worker": "w2", "handler": WELCOME}, {"succeeded"}),
        ({"worker": "nobody"}, set()),
        ({"worker": ""}, set()),
        ({"error": "RelayBusy"}, {"dead"}),
        ({"text": "lay bus"}, {"dead"}),
        ({"since": "2999-01-01T00:00:00Z"}, set()),
        ({"until": "2999-01-01T00:00:00Z", "service": "report"}, {"running", "dead"}),
    ],
)
@pytest.mark.usefixtures("jobs")
async def test_counts_and_lists_take_the_same_filters(
    client: AsyncClient, filters: dict[str, str], found: set[str]
) -> None:
    listed = (await client.get("/v1/jobs", params=filters)).json()["items"]

    assert await counts(client, **filters) == dict.fromkeys(found, 1)
    assert {job["state"] for job in listed} == found


async def test_one_event_is_counted_alone(client: AsyncClient, jobs: dict[str, str]) -> None:
    event_id = jobs["retrying"].rpartition(":")[2]

    assert await counts(client, event_id=event_id) == {"retrying": 1}
    assert await counts(client, text=jobs["cancelled"]) == {"cancelled": 1}


@pytest.mark.usefixtures("jobs")
async def test_a_job_that_a_text_finds_twice_is_counted_once(client: AsyncClient, workers: Workers) -> None:
    await workers.register(RECORD)
    await workers.register(WELCOME)

    found = await counts(client, text="user.registered")

    assert found == dict.fromkeys(NOTHING, 1)
    assert await counts(client, text="record_user") == {"running": 1, "dead": 1}


async def test_what_no_worker_claimed_yet_counts_as_queued(
    client: AsyncClient, workers: Workers, engine: AsyncEngine, jobs: dict[str, str]
) -> None:
    await workers.register(WELCOME)
    await workers.register(RECORD)
    await workers.register(PROCESS, "file.uploaded")
    for _ in range(3):
        await accept(engine, new_id())
    await accept(engine, jobs["succeeded"].rpartition(":")[2])  # one of its two handlers has done it

    assert (await counts(client))["queued"] == 1 + 3 * 2 + 1
    assert await counts(client, handler=WELCOME, since=rfc3339(await now(engine))) == {}
    assert (await counts(client, handler=WELCOME))["queued"] == 1 + 3
    assert (await counts(client, handler=RECORD))["queued"] == 3 + 1
    assert await counts(client, handler=PROCESS) == {}
    assert "queued" not in await counts(client, worker="w2")


@pytest.mark.usefixtures("jobs")
async def test_counts_stop_at_the_cap(workers: Workers, registry: Registry, engine: AsyncEngine) -> None:
    await workers.register(WELCOME)
    for _ in range(3):
        await accept(engine, new_id())
    handlers = list((await registry.handlers()).values())

    async def counted(**filters: Any) -> dict[str, int]:
        async with engine.begin() as connection:
            return await count_by_state(connection, Filter(**filters), handlers, cap=2)

    assert await counted() == dict.fromkeys(NOTHING, 1) | {"queued": 2}
    assert await counted(text="send_welc") == {
        **dict.fromkeys(NOTHING, 1),
        "queued": 2,
        "running": 0,
        "dead": 0,
    }


@pytest.mark.usefixtures("recorder")
async def test_pages_by_worker_go_on_where_they_ended(
    client: AsyncClient,
    workers: Workers,
    engine: AsyncEngine,
    recorder: object,
) -> None:
    assert recorder
    for n in range(5):
        event_id, state = new_id(), ("succeeded", "running")[n % 2]
        await workers.write(event_id, state, worker="w7", queued_at=str(1_700_000_000_000 + n // 2))
        await recorded(engine, f"{WELCOME}:{event_id}", state)
    seen = await all_pages(client, worker="w7", limit=2)

    whole = (await client.get("/v1/jobs", params={"worker": "w7"})).json()["items"]
    assert seen == [job["id"] for job in whole]
    assert len(set(seen)) == 5
    assert [job["queued_at"] for job in whole] == sorted((job["queued_at"] for job in whole), reverse=True)


async def test_jobs_of_a_worker_are_found_by_an_index(engine: AsyncEngine) -> None:
    plan = """
        EXPLAIN SELECT id FROM gateway.jobs WHERE worker = 'w1' AND state = 'running'
        ORDER BY timezone('UTC', queued_at) DESC LIMIT 50
    """
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        lines = (await connection.execute(text(plan))).scalars().all()

    assert any("jobs_by_worker_state" in line for line in lines)


@pytest.mark.parametrize("query", ["worker=%00", "state=dead&text=ab", "since=yesterday", "event_id=1"])
async def test_a_wrong_parameter_of_counts_is_named(client: AsyncClient, query: str) -> None:
    answer = await client.get(f"/v1/jobs/counts?{query}")

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
    assert answer.json()["errors"][0]["pointer"] == f"#/{query.rpartition('&')[2].partition('=')[0]}"


async def now(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return (await connection.execute(text("SELECT now()"))).scalar_one()
