"""GET /v1/jobs and /v1/dead: searched by a part of an error, an id, a name; and what nobody claimed yet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import rfc3339
from shared.contracts import new_id
from tests.gateway.history.stand_in import WELCOME, Workers, accept, recorded, rows, structured

RECORD = "report.record_user"
START = datetime(2026, 3, 1, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"


async def shown(client: AsyncClient, path: str = "/v1/jobs", **params: Any) -> list[str]:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["items"]]


async def all_pages(client: AsyncClient, path: str = "/v1/jobs", **params: Any) -> list[str]:
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await client.get(path, params=params | ({"cursor": cursor} if cursor else {}))).json()
        seen += [job["id"] for job in page["items"]]
        cursor = page["next"]
    return seen


async def fail(
    workers: Workers, engine: AsyncEngine, message: str, *, handler: str = WELCOME, **fields: Any
) -> str:
    """A dead job with this error, recorded."""
    event_id = new_id()
    error = {"type": "RelayBusy", "message": message, "stack": "in deep"}
    given: dict[str, Any] = {"reason": "exhausted", "error": error, "event": structured(event_id), **fields}
    await workers.write(event_id, "dead", handler=handler, **given)
    await recorded(engine, f"{handler}:{event_id}", "dead")
    return f"{handler}:{event_id}"


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize(
    "sought", ["relay busy", "RELAY Bu", "RelayBusy: relay", "exhausted", "retry after 5 s", "send_welc"]
)
async def test_a_part_of_what_a_job_failed_with_finds_it(
    client: AsyncClient, workers: Workers, engine: AsyncEngine, sought: str
) -> None:
    failed = await fail(workers, engine, "relay busy, retry after 5 s")
    await fail(workers, engine, "no such user", handler=RECORD, reason="poison", error={"type": "KeyError"})

    assert await shown(client, text=sought) == [failed]
    assert await shown(client, "/v1/dead", text=sought) == [failed]


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize(
    ("message", "sought", "is_found"),
    [
        ("100% full", "100%", True),
        ("100 full", "100%", False),
        ("user_1 is gone", "user_1", True),
        ("user-1 is gone", "user_1", False),
        (r"C:\data", r"C:\da", True),
        ("C:data", r"C:\da", False),
        ("it's", "'s; ", False),
        ("it's gone", "it's", True),
        ("über dem Limit", "ÜBER", True),
        ("a%%%b", "%%%", True),
        ("nothing of it", "%%%", False),
    ],
)
async def test_what_is_searched_for_is_taken_literally(
    *, client: AsyncClient, workers: Workers, engine: AsyncEngine, message: str, sought: str, is_found: bool
) -> None:
    failed = await fail(workers, engine, message)

    assert await shown(client, text=sought) == ([failed] if is_found else [])


@pytest.mark.usefixtures("recorder")
async def test_the_whole_id_of_a_job_an_event_or_a_trace_finds_jobs_in_any_state(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    event_id = new_id()
    await workers.write(event_id, "succeeded", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    await workers.write(event_id, "running", handler=RECORD)
    for state, handler in (("succeeded", WELCOME), ("running", RECORD)):
        await recorded(engine, f"{handler}:{event_id}", state)
    await fail(workers, engine, "another")

    of_event = {f"{WELCOME}:{event_id}", f"{RECORD}:{event_id}"}
    assert await shown(client, text=f"{RECORD}:{event_id}") == [f"{RECORD}:{event_id}"]
    assert set(await shown(client, text=event_id)) == of_event
    assert set(await shown(client, text=event_id.upper())) == of_event
    assert await shown(client, text=TRACE.upper()) == [f"{WELCOME}:{event_id}"]
    assert await shown(client, text=event_id[:-1]) == []


@pytest.mark.usefixtures("recorder")
async def test_an_id_in_an_error_finds_the_job_that_failed_over_it(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    order = new_id()
    failed = await fail(workers, engine, f"order {order} is unknown")

    assert await shown(client, text=order) == [failed]


@pytest.mark.usefixtures("recorder")
async def test_a_part_of_a_handlers_name_or_event_type_finds_its_jobs_in_any_state(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    await workers.register("file.process", "file.uploaded")
    done, waiting = new_id(), new_id()
    await workers.write(done, "succeeded")
    await recorded(engine, f"{WELCOME}:{done}", "succeeded")
    await accept(engine, waiting)

    both = [f"{WELCOME}:{waiting}", f"{WELCOME}:{done}"]
    assert await shown(client, text="Send_Wel") == both
    assert await shown(client, text="user.reg") == both
    assert await shown(client, text="user.reg", state="succeeded") == both[1:]
    assert await shown(client, text="user.reg", state="queued") == both[:1]
    assert await shown(client, text="file.up") == []


@pytest.mark.usefixtures("recorder")
async def test_a_search_has_pages_too(client: AsyncClient, workers: Workers, engine: AsyncEngine) -> None:
    await workers.register(WELCOME)
    found = [
        await fail(workers, engine, f"busy {n}", queued_at=str(round(START.timestamp() * 1000) + n // 2))
        for n in range(7)
    ]

    seen = await all_pages(client, text="busy", limit=2)

    assert sorted(seen) == sorted(found)
    assert await all_pages(client, text="send_welcome", limit=2) == seen


@pytest.mark.usefixtures("recorder")
async def test_dead_letters_are_filtered_by_all_that_a_replay_takes(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    def at(hours: int) -> str:
        return str(round((START + timedelta(hours=hours)).timestamp() * 1000))

    early = await fail(workers, engine, "busy", finished_at=at(1), queued_at=at(0))
    late = await fail(
        workers,
        engine,
        "gone",
        handler=RECORD,
        reason="poison",
        error={"type": "KeyError"},
        finished_at=at(3),
        queued_at=at(-5),
    )
    between = rfc3339(START + timedelta(hours=2))

    assert await shown(client, "/v1/dead") == [late, early]
    assert await shown(client, "/v1/dead", since=between) == [late]
    assert await shown(client, "/v1/dead", until=between) == [early]
    assert await shown(client, "/v1/dead", service="report") == [late]
    assert await shown(client, "/v1/dead", handler=WELCOME) == [early]
    assert await shown(client, "/v1/dead", reason="poison") == [late]
    assert await shown(client, "/v1/dead", error="KeyError") == [late]
    assert await shown(client, "/v1/dead", error="Key") == []
    assert await all_pages(client, "/v1/dead", limit=1) == [late, early]


@pytest.mark.usefixtures("recorder")
async def test_a_job_that_succeeds_in_the_end_is_not_found_by_its_error(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    event_id = new_id()
    error = {"type": "RelayBusy", "message": "busy for a while", "stack": ""}
    await workers.write(event_id, "retrying", error=error)
    await recorded(engine, f"{WELCOME}:{event_id}", "retrying")
    while_retrying = await shown(client, text="for a while", error="RelayBusy")
    await workers.redis.hdel(f"job:{{{WELCOME}}}:{event_id}", "error")
    await workers.write(event_id, "succeeded")
    await recorded(engine, f"{WELCOME}:{event_id}", "succeeded")

    assert while_retrying == [f"{WELCOME}:{event_id}"]
    assert await shown(client, text="for a while") == []


@pytest.mark.usefixtures("recorder")
async def test_an_error_with_a_nul_is_found_by_the_rest_of_it(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    failed = await fail(workers, engine, "no\0where to go")

    assert await shown(client, text="where to go") == [failed]


async def test_jobs_are_listed_as_queued_before_any_worker_lives(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    await workers.register(RECORD)
    await workers.register("file.process", "file.uploaded")
    ids = [new_id() for _ in range(5)]
    for event_id in ids:
        await accept(engine, event_id)
    newest_first = [f"{handler}:{id_}" for id_ in reversed(ids) for handler in (RECORD, WELCOME)]

    assert await shown(client, state="queued") == await shown(client) == newest_first
    assert await all_pages(client, state="queued", limit=3) == newest_first
    assert await all_pages(client, limit=1) == newest_first
    assert await shown(client, state="queued", handler=WELCOME) == newest_first[1::2]
    assert await shown(client, service="report") == newest_first[::2]
    assert await shown(client, event_id=ids[0]) == newest_first[-2:]
    assert await shown(client, text=ids[0]) == newest_first[-2:]
    assert await shown(client, text=f"{WELCOME}:{ids[0]}") == newest_first[-1:]
    assert await shown(client, state="running") == await shown(client, error="E") == []
    assert await shown(client, until="2026-01-01T00:00:00Z") == []
    assert await shown(client, handler="file.process") == []


@pytest.mark.usefixtures("recorder")
async def test_claimed_and_unclaimed_jobs_share_one_list_without_gap_or_repeat(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    expected: list[str] = []
    for n in range(6):
        event_id = new_id()
        at = START + timedelta(seconds=n)
        await accept(engine, event_id)
        async with engine.begin() as connection:
            set_at = text("UPDATE gateway.events SET accepted_at = :at WHERE id = :id")
            await connection.execute(set_at, {"at": at, "id": event_id})
        if n % 2:
            await workers.write(event_id, "queued", queued_at=str(round(at.timestamp() * 1000)))
            await recorded(engine, f"{WELCOME}:{event_id}", "queued")
        expected.insert(0, f"{WELCOME}:{event_id}")

    for limit in (1, 2, 4, 50):
        assert await all_pages(client, state="queued", limit=limit) == expected
        assert await all_pages(client, limit=limit) == expected


@pytest.mark.usefixtures("recorder")
async def test_a_claimed_or_settled_job_is_not_listed_as_queued(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    claimed, settled = new_id(), new_id()
    await accept(engine, claimed)
    await accept(engine, settled)
    async with engine.begin() as connection:
        settle = text("UPDATE gateway.events SET settled_at = now() WHERE id = :id")
        await connection.execute(settle, {"id": settled})
    await workers.write(claimed, "running")
    await recorded(engine, f"{WELCOME}:{claimed}", "running")

    assert await shown(client, state="queued") == []
    assert await shown(client) == [f"{WELCOME}:{claimed}"]


async def test_an_event_for_one_handler_is_listed_for_that_one_alone(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    await workers.register(RECORD)
    event_id = new_id()
    await accept(engine, event_id)
    async with engine.begin() as connection:
        name = text(
            "UPDATE gateway.events SET attributes = jsonb_build_object('handler', CAST(:handler AS text))"
        )
        await connection.execute(name, {"handler": RECORD})

    assert await shown(client, state="queued") == [f"{RECORD}:{event_id}"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/dead"])
@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("text=ab", "#/text"),
        ("text=", "#/text"),
        ("text=a%00bc", "#/text"),
        (f"text={'a' * 201}", "#/text"),
        ("error=%00", "#/error"),
        ("service=%00", "#/service"),
        ("since=yesterday", "#/since"),
        ("until=2026-01-01T00:00:00", "#/until"),
        ("cursor=nonsense", "#/cursor"),
    ],
)
async def test_a_wrong_parameter_of_a_list_is_named(
    client: AsyncClient, path: str, query: str, pointer: str
) -> None:
    answer = await client.get(f"{path}?{query}")

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_the_search_has_its_index(engine: AsyncEngine) -> None:
    indexes = await rows(engine, "SELECT indexdef FROM pg_indexes WHERE indexname = 'jobs_by_failure'")

    assert "gin_trgm_ops" in indexes[0]["indexdef"]
