"""GET and PATCH /v1/handlers/{name}: what they show, what they change, what they refuse."""

import json
from typing import Any

import pytest
from httpx import AsyncClient, Response
from structlog.testing import capture_logs

from shared.jobs import HandlerReader
from tests.gateway.history.stand_in import WELCOME, Workers

OPERATOR = {"Authorization": "Bearer operator"}


async def patch(client: AsyncClient, body: Any, *, name: str = WELCOME) -> Response:
    return await client.patch(f"/v1/handlers/{name}", json=body, headers=OPERATOR)


async def test_a_handler_is_shown_with_its_limits_and_how_it_stands(
    client: AsyncClient, workers: Workers, redis: Any
) -> None:
    await workers.register(WELCOME)
    await redis.zadd(f"running:{{{WELCOME}}}", {"a": 9_999_999_999_999, "lost": 1})
    await redis.zadd(f"waiting:{{{WELCOME}}}", {"b": 1, "c": 2})
    await redis.zadd(f"dead:{{{WELCOME}}}", {"d": 1})
    await redis.xadd(f"queue:{{{WELCOME}}}", {"job": "e"})

    shown = (await client.get(f"/v1/handlers/{WELCOME}")).json()

    assert [shown[name] for name in ("running", "waiting", "dead", "queued", "workers")] == [1, 2, 1, 1, 0]
    assert [shown[name] for name in ("paused", "note", "since", "concurrency", "rate")] == [False] + [
        None
    ] * 4
    assert shown["worker_concurrency"] == 64
    assert (await client.get("/v1/handlers")).json()["items"] == [shown]


async def test_pausing_and_resuming_keeps_the_other_limits(client: AsyncClient, workers: Workers) -> None:
    await workers.register(WELCOME)

    limited = (await patch(client, {"concurrency": 7, "rate": 2.5, "worker_concurrency": 3})).json()
    paused = (await patch(client, {"paused": True, "note": "the relay is being moved"})).json()
    again = (await patch(client, {"paused": True, "note": "still"})).json()
    resumed = (await patch(client, {"paused": False})).json()

    assert (limited["concurrency"], limited["rate"], limited["worker_concurrency"]) == (7, 2.5, 3)
    assert (paused["paused"], paused["note"], paused["concurrency"]) == (True, "the relay is being moved", 7)
    assert (again["note"], again["since"]) == ("still", paused["since"])
    assert resumed == limited
    assert resumed == (await client.get(f"/v1/handlers/{WELCOME}")).json()


async def test_null_gives_a_limit_back_to_the_code(client: AsyncClient, workers: Workers, redis: Any) -> None:
    await workers.register(WELCOME)
    record = json.loads(await redis.hget("handlers", WELCOME))
    await redis.hset("handlers", WELCOME, json.dumps({**record, "rate": 9.0, "total_concurrency": 5}))
    await patch(client, {"concurrency": 1, "rate": 1, "worker_concurrency": 1})

    answer = await patch(client, {"concurrency": None, "rate": None, "worker_concurrency": None})

    shown = answer.json()
    assert (shown["concurrency"], shown["rate"], shown["worker_concurrency"]) == (5, 9.0, 64)
    assert shown["defaults"] == {"concurrency": 5, "worker_concurrency": 64, "rate": 9.0}
    assert await redis.exists(f"control:{{{WELCOME}}}") == 0


async def test_nothing_to_change_changes_nothing(client: AsyncClient, workers: Workers, redis: Any) -> None:
    await workers.register(WELCOME)

    answer = await patch(client, {})

    assert (answer.status_code, answer.json()["paused"]) == (200, False)
    assert await redis.exists(f"control:{{{WELCOME}}}") == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"concurrency": 0}, "#/concurrency"),
        ({"concurrency": 1.5}, "#/concurrency"),
        ({"concurrency": True}, "#/concurrency"),
        ({"worker_concurrency": -1}, "#/worker_concurrency"),
        ({"rate": 0}, "#/rate"),
        ({"rate": "fast"}, "#/rate"),
        ({"rate": 1e300}, "#/rate"),
        ({"paused": None}, "#/paused"),
        ({"paused": "yes"}, "#/paused"),
        ({"note": "why"}, "#/note"),
        ({"paused": False, "note": "why"}, "#/note"),
        ({"paused": True, "note": "x" * 501}, "#/note"),
        ({"max_attempts": 3}, "#/max_attempts"),
    ],
)
async def test_what_is_no_limit_is_refused_with_its_place(
    client: AsyncClient, workers: Workers, redis: Any, body: dict[str, Any], pointer: str
) -> None:
    await workers.register(WELCOME)

    answer = await patch(client, body)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await redis.exists(f"control:{{{WELCOME}}}") == 0


async def test_a_body_that_is_no_object_is_refused(client: AsyncClient, workers: Workers) -> None:
    await workers.register(WELCOME)

    broken = await client.patch(
        f"/v1/handlers/{WELCOME}", content=b"{", headers={**OPERATOR, "Content-Type": "application/json"}
    )
    listed = await patch(client, [1])

    assert (broken.status_code, listed.status_code) == (400, 422)


async def test_a_handler_that_nobody_registered_is_not_found(client: AsyncClient, redis: Any) -> None:
    shown = await client.get("/v1/handlers/nobody.knows")
    changed = await patch(client, {"paused": True}, name="nobody.knows")

    assert (shown.status_code, changed.status_code) == (404, 404)
    assert changed.json()["type"] == "/problems/not-found"
    assert await redis.exists("control:{nobody.knows}") == 0


async def test_changing_needs_the_scope_operate(client: AsyncClient, workers: Workers) -> None:
    await workers.register(WELCOME)

    answer = await client.patch(f"/v1/handlers/{WELCOME}", json={"paused": True})

    assert (answer.status_code, answer.json()["scope"]) == (403, "operate")


async def test_a_change_is_logged_with_the_key_that_ordered_it(client: AsyncClient, workers: Workers) -> None:
    await workers.register(WELCOME)

    with capture_logs() as lines:
        await patch(client, {"paused": True, "note": "said to Ada alone", "rate": 3})

    [line] = [line for line in lines if line["event"] == "handler.changed"]
    assert (line["handler"], line["paused"], line["rate"]) == (WELCOME, True, 3)
    assert len(line["key"]) == 12
    assert "note" not in line


async def test_starts_and_ends_are_averaged_over_the_last_minute(redis: Any) -> None:
    seconds, _ = await redis.time()
    for minute, counts in (
        (seconds // 60, (30, 6)),
        (seconds // 60 - 1, (0, 0)),
        (seconds // 60 - 2, (9, 9)),
    ):
        key = f"minute:{{{WELCOME}}}:{minute}"
        await redis.hset(key, mapping={"started": counts[0], "ended": counts[1]})

    [standing] = await HandlerReader(redis).get([WELCOME])

    # Should a minute begin meanwhile, what was counted is the minute before.
    assert 0 < standing.started_per_s <= 0.5
    assert standing.ended_per_s == pytest.approx(standing.started_per_s / 5, abs=0.01)
