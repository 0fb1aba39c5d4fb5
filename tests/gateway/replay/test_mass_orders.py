"""POST /v1/jobs/cancel and /v1/jobs/retry: what a filter matches, what is done, what is refused."""

from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.operations import mass_orders
from shared.contracts import new_id
from shared.jobs import State
from tests.conftest import Servers
from tests.gateway.history.stand_in import WELCOME, Workers, accept, away, recorded
from tests.gateway.replay.conftest import Bury, queued

RECORD = "report.record_user"


async def order(client: AsyncClient, what: str, *, dry_run: bool = False, **wanted: Any) -> dict[str, Any]:
    answer = await client.post(f"/v1/jobs/{what}", json={"filter": wanted, "dry_run": dry_run})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def make(workers: Workers, engine: AsyncEngine, state: str, *, handler: str = WELCOME) -> str:
    event_id = new_id()
    await workers.write(event_id, state, handler=handler)
    await recorded(engine, f"{handler}:{event_id}", state)
    return f"{handler}:{event_id}"


async def state_of(redis: Any, job_id: str) -> str:
    handler, _, event_id = job_id.rpartition(":")
    return (await redis.hget(f"job:{{{handler}}}:{event_id}", "state") or b"").decode()


async def test_only_what_can_be_cancelled_is_matched(
    client: AsyncClient, workers: Workers, engine: AsyncEngine, redis: Any
) -> None:
    made: dict[str, str] = {state: await make(workers, engine, state) for state in State}
    other = await make(workers, engine, "queued", handler=RECORD)

    dry = await order(client, "cancel", dry_run=True, handler=WELCOME)
    done = await order(client, "cancel", handler=WELCOME)

    assert dry == {
        "matched": 3,
        "cap": 10_000,
        "by_handler": {WELCOME: 3},
        "by_state": {"queued": 1, "retrying": 1, "running": 1},
        "sample": [made["retrying"], made["running"], made["queued"]],
    }
    assert done == {"done": 3, "skipped": {}, "remaining": False}
    assert {state: await state_of(redis, job) for state, job in made.items()} == {
        **{state: state for state in State},
        "queued": "cancelled",
        "retrying": "cancelled",
    }
    assert await redis.sismember(f"cancelling:{{{WELCOME}}}", made["running"].rpartition(":")[2])
    assert await state_of(redis, other) == "queued"


async def test_what_no_worker_claimed_yet_is_cancelled_too(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    await workers.register(WELCOME)
    waiting = [new_id() for _ in range(3)]
    for event_id in waiting:
        await accept(engine, event_id)
    ids = [f"{WELCOME}:{event_id}" for event_id in waiting]

    one = await order(client, "cancel", ids=ids[:1])
    dry = await order(client, "cancel", dry_run=True, all=True)
    rest = await order(client, "cancel", all=True)

    assert one == {"done": 1, "skipped": {}, "remaining": False}
    assert (dry["by_state"], dry["sample"][:2]) == ({"queued": dry["matched"]}, ids[:0:-1])
    assert rest == {"done": 2, "skipped": {}, "remaining": False}
    for job_id in ids:
        await recorded(engine, job_id, "cancelled")


async def test_the_newest_are_ordered_first_and_the_caller_goes_on_while_some_remain(
    client: AsyncClient, workers: Workers, engine: AsyncEngine, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mass_orders, "MOST", 3)
    monkeypatch.setattr(mass_orders, "_PAGE", 2)
    jobs = [await make(workers, engine, state) for state in ("queued", "retrying", "running") * 2]

    first = await order(client, "cancel", all=True)
    untouched = [await state_of(redis, job) for job in jobs[:3]]
    second = await order(client, "cancel", all=True)
    third = await order(client, "cancel", all=True)

    assert first == {"done": 3, "skipped": {}, "remaining": True}
    assert untouched == ["queued", "retrying", "running"]
    assert (second["done"], third) == (3, {"done": 0, "skipped": {}, "remaining": False})


async def test_dead_cancelled_and_expired_jobs_run_again(
    client: AsyncClient, workers: Workers, engine: AsyncEngine, redis: Any
) -> None:
    for state in State:
        event_id = new_id()
        await workers.write(event_id, state, event=b'{"id":"1"}')
        await recorded(engine, f"{WELCOME}:{event_id}", state)

    dry = await order(client, "retry", dry_run=True, service="email")
    done = await order(client, "retry", service="email")
    again = await order(client, "retry", service="email")

    assert dry["by_state"] == {"dead": 1, "cancelled": 1, "expired": 1}
    assert done == {"done": 3, "skipped": {}, "remaining": False}
    assert again["done"] == 0
    assert len(await queued(redis)) == 3


async def test_what_cannot_run_again_is_counted_and_holds_up_nothing(
    client: AsyncClient, workers: Workers, engine: AsyncEngine, bury: Bury, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mass_orders, "MOST", 2)
    await bury(3)
    gone = [await make(workers, engine, "dead") for _ in range(3)]  # newer, and nobody has their events

    answers = [await order(client, "retry", handler=WELCOME) for _ in range(3)]

    assert [one["done"] for one in answers] == [2, 1, 0]
    assert answers[0] == {"done": 2, "skipped": {"event_gone": len(gone)}, "remaining": True}
    assert answers[-1] == {"done": 0, "skipped": {"event_gone": len(gone)}, "remaining": False}


async def test_what_was_ordered_is_not_ordered_again_while_the_history_lags(
    client: AsyncClient, workers: Workers, engine: AsyncEngine, redis: Any
) -> None:
    job_id = await make(workers, engine, "running")
    event_id = job_id.rpartition(":")[2]
    waiting = await make(workers, engine, "queued")
    await redis.hset(f"job:{{{WELCOME}}}:{waiting.rpartition(':')[2]}", "state", "succeeded")

    first = await order(client, "cancel", all=True)
    second = await order(client, "cancel", all=True)

    assert first == {"done": 1, "skipped": {}, "remaining": False}
    assert second == {"done": 0, "skipped": {}, "remaining": False}
    assert await redis.smembers(f"cancelling:{{{WELCOME}}}") == {event_id.encode()}


async def test_a_state_in_which_the_order_makes_no_sense_matches_nothing(
    client: AsyncClient, workers: Workers, engine: AsyncEngine
) -> None:
    await make(workers, engine, "succeeded")

    for what in ("cancel", "retry"):
        assert (await order(client, what, dry_run=True, state="succeeded"))["matched"] == 0
        assert await order(client, what, state="succeeded") == {"done": 0, "skipped": {}, "remaining": False}


NO_ORDERS: list[tuple[dict[str, Any], str]] = [
    ({}, "#/filter"),
    ({"filter": {}}, "#/filter"),
    ({"filter": {"all": True, "handler": WELCOME}}, "#/filter"),
    ({"filter": {"all": False}}, "#/filter/all"),
    ({"filter": {"state": "asleep"}}, "#/filter/state"),
    ({"filter": {"worker": "a\0"}}, "#/filter/worker"),
    ({"filter": {"ids": []}}, "#/filter/ids"),
    ({"filter": {"ids": ["x"]}}, "#/filter/ids/0"),
    ({"filter": {"event_id": "1"}}, "#/filter/event_id"),
    ({"filter": {"text": "ab"}}, "#/filter/text"),
    ({"filter": {"since": "2026-01-01T00:00:00"}}, "#/filter/since"),
    ({"filter": {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}}, "#/filter"),
    ({"filter": {"reason": "poison"}}, "#/filter/reason"),
    ({"filter": {"all": True}, "dry_run": "yes"}, "#/dry_run"),
    ({"filter": {"all": True}, "rate": 5}, "#/rate"),
]


async def test_what_is_no_order_is_refused_with_its_place(client: AsyncClient) -> None:
    for what in ("cancel", "retry"):
        for body, pointer in NO_ORDERS:
            answer = await client.post(f"/v1/jobs/{what}", json=body)

            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid")
            assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


async def test_ordering_many_needs_the_scope_operate_and_is_documented(client: AsyncClient) -> None:
    everything = {"filter": {"all": True}}
    reader = {"Authorization": "Bearer reader"}

    document = (await client.get("/openapi.json")).json()

    for what in ("cancel", "retry"):
        refused = await client.post(f"/v1/jobs/{what}", json=everything, headers=reader)
        described = document["paths"][f"/v1/jobs/{what}"]["post"]
        assert (refused.status_code, refused.json()["scope"]) == (403, "operate")
        assert described["security"] == [{"ApiKey": ["operate"]}]
        assert described["requestBody"]["content"]["application/json"]["schema"] == {
            "$ref": "#/components/schemas/OrderRequest"
        }
    assert "OrderFilter" in document["components"]["schemas"]


async def test_without_redis_nothing_is_ordered(
    client: AsyncClient, workers: Workers, engine: AsyncEngine, servers: Servers
) -> None:
    await make(workers, engine, "queued")

    async with away(servers.redis):
        answer = await client.post("/v1/jobs/cancel", json={"filter": {"all": True}})

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
