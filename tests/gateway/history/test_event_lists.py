"""GET /v1/events and GET /v1/events/{id}/tree: pages, filters, and all that came of one request."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.ledger import event_tree
from shared.clock import rfc3339
from shared.contracts import new_id
from shared.jobs import group_id, then_id
from tests.gateway.history.stand_in import WELCOME, Workers, recorded
from tests.gateway.history.test_lists import all_pages

RESERVE = "inventory.reserve_stock"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"
NOBODY = "01934f3a-0000-7000-8000-000000000000"


async def enter(
    engine: AsyncEngine,
    type_: str = "user.registered",
    *,
    id_: str | None = None,
    at_s: float = 0,
    settled: bool = False,
    **attributes: str,
) -> str:
    """Enter an event into the ledger, accepted so many seconds after START; its id."""
    row = {
        "id": id_ or new_id(),
        "type": type_,
        "attributes": json.dumps(attributes),
        "at": START + timedelta(seconds=at_s),
        "settled_at": START + timedelta(hours=1) if settled else None,
    }
    insert = """
        INSERT INTO gateway.events (id, type, source, attributes, data, accepted_at, settled_at)
        VALUES (:id, :type, '/t', CAST(:attributes AS jsonb), '{}', :at, :settled_at)
    """
    async with engine.begin() as connection:
        await connection.execute(text(insert), row)
    return str(row["id"])


async def tree_of(client: AsyncClient, event_id: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/events/{event_id}/tree")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_events_are_listed_newest_first_with_how_far_they_are(
    client: AsyncClient, engine: AsyncEngine
) -> None:
    first = await enter(engine, settled=True, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01", subject="Ada")
    second = await enter(engine, "email.requested", at_s=1, causationid=first, correlationid=first)

    page = (await client.get("/v1/events")).json()

    assert page["next"] is None
    assert [item["id"] for item in page["items"]] == [second, first]
    assert page["items"][1] == {
        "id": first,
        "type": "user.registered",
        "source": "/t",
        "subject": "Ada",
        "accepted_at": rfc3339(START),
        "published_at": None,
        "settled_at": rfc3339(START + timedelta(hours=1)),
        "correlation_id": first,
        "causation_id": None,
        "trace_id": TRACE,
    }
    assert (page["items"][0]["causation_id"], page["items"][0]["correlation_id"]) == (first, first)


async def test_events_are_filtered_by_type_and_time(client: AsyncClient, engine: AsyncEngine) -> None:
    early = await enter(engine, at_s=0, settled=True)
    late = await enter(engine, at_s=10)
    other = await enter(engine, "email.requested", at_s=5)

    async def shown(**params: str) -> list[str]:
        return [one["id"] for one in (await client.get("/v1/events", params=params)).json()["items"]]

    assert await shown(type="user.registered") == [late, early]
    assert await shown(type="email.requested") == [other]
    assert await shown(type="nobody.knows") == []
    assert await shown(since=rfc3339(START + timedelta(seconds=5))) == [late, other]
    assert await shown(until=rfc3339(START + timedelta(seconds=5)), type="user.registered") == [early]


async def test_pages_of_events_lose_and_repeat_none(client: AsyncClient, engine: AsyncEngine) -> None:
    entered = {await enter(engine, at_s=n // 3, settled=n % 2 == 0) for n in range(7)}

    for params in ({}, {"type": "user.registered"}):
        seen = await all_pages(client, "/v1/events", limit=2, **params)
        assert (len(seen), set(seen)) == (7, entered)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("type=%00", "#/type"),
        ("since=yesterday", "#/since"),
        ("limit=0", "#/limit"),
        ("cursor=nonsense", "#/cursor"),
        ("cursor=MjAyNi0wMy0wMVQxMjowMDowMC4wMDAwMDBaIGVtYWlsLnNlbmQ6MQ", "#/cursor"),
    ],
)
async def test_a_wrong_parameter_of_events_is_named(client: AsyncClient, query: str, pointer: str) -> None:
    answer = await client.get(f"/v1/events?{query}")

    assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, [pointer])


@pytest.mark.usefixtures("recorder")
async def test_a_tree_goes_from_the_first_cause_down_with_the_jobs(
    client: AsyncClient, engine: AsyncEngine, workers: Workers
) -> None:
    await workers.register(RESERVE, "order.created")
    await workers.register(WELCOME, "email.requested")
    order = await enter(engine, "order.created", settled=True)
    mail, reserved = new_id(), new_id()
    caused = [{"id": mail, "type": "email.requested"}]
    await workers.write(order, "succeeded", handler=RESERVE, caused=caused, finished_at="1764000000123")
    await recorded(engine, f"{RESERVE}:{order}", "succeeded")
    await enter(engine, "email.requested", id_=mail, at_s=1, causationid=order)
    await enter(engine, "stock.low", id_=reserved, at_s=2, causationid=order)
    sent = await enter(engine, "email.sent", at_s=3, causationid=mail)

    trees = [await tree_of(client, one) for one in (order, mail, sent, reserved)]

    assert all(tree == trees[0] for tree in trees)
    assert (trees[0]["root"], trees[0]["left_out"]) == (order, 0)
    assert [
        (one["id"], one["depth"], one["caused_by"], [(job["id"], job["state"]) for job in one["jobs"]])
        for one in trees[0]["events"]
    ] == [
        (order, 0, None, [(f"{RESERVE}:{order}", "succeeded")]),
        (mail, 1, f"{RESERVE}:{order}", [(f"{WELCOME}:{mail}", "queued")]),
        (reserved, 1, None, []),
        (sent, 2, None, []),
    ]
    shown = (await client.get(f"/v1/jobs/{RESERVE}:{order}")).json()
    assert trees[0]["events"][0]["jobs"] == [shown]


async def test_what_redis_says_of_a_job_in_a_tree_is_newer_than_the_history(
    client: AsyncClient, engine: AsyncEngine, workers: Workers
) -> None:
    order = await enter(engine, "order.created")
    await workers.register(RESERVE, "order.created")
    await workers.write_hash(order, "running", handler=RESERVE, worker="w9")

    (event,) = (await tree_of(client, order))["events"]

    assert [(job["state"], job["worker"]) for job in event["jobs"]] == [("running", "w9")]


async def test_an_event_for_one_handler_has_no_other_jobs_in_a_tree(
    client: AsyncClient, engine: AsyncEngine, workers: Workers
) -> None:
    await workers.register(RESERVE)
    await workers.register(WELCOME)
    order = await enter(engine, handler=WELCOME)

    (event,) = (await tree_of(client, order))["events"]

    assert [job["id"] for job in event["jobs"]] == [f"{WELCOME}:{order}"]


async def test_what_follows_a_group_was_caused_by_the_job_that_opened_it(
    client: AsyncClient, engine: AsyncEngine, workers: Workers
) -> None:
    order = await enter(engine, "order.created")
    await workers.register(RESERVE, "order.created")
    follows = then_id(group_id(f"{RESERVE}:{order}"))
    await enter(engine, "report.requested", id_=follows, at_s=1, causationid=order)

    tree = await tree_of(client, order)

    assert tree["events"][1]["caused_by"] == f"{RESERVE}:{order}"


async def test_a_large_tree_shows_the_way_to_the_event_and_counts_the_rest(
    client: AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_tree, "MOST", 4)
    monkeypatch.setattr(event_tree, "COUNTED", 6)
    root = await enter(engine, "order.created")
    children = [await enter(engine, at_s=n + 1, causationid=root) for n in range(9)]
    leaf = await enter(engine, "email.sent", at_s=99, causationid=children[-1])

    tree = await tree_of(client, leaf)

    assert [one["id"] for one in tree["events"]] == [root, children[0], children[-1], leaf]
    assert 2 <= tree["left_out"] <= 4


async def test_causes_that_nobody_knows_and_circles_end(client: AsyncClient, engine: AsyncEngine) -> None:
    stranger = await enter(engine, causationid="order-4711")
    orphan = await enter(engine, causationid=NOBODY)
    itself, one, other = new_id(), new_id(), new_id()
    await enter(engine, id_=itself, causationid=itself)
    await enter(engine, id_=one, causationid=other)
    await enter(engine, id_=other, causationid=one)

    async def ids(event_id: str) -> set[str]:
        return {event["id"] for event in (await tree_of(client, event_id))["events"]}

    assert await ids(stranger) == {stranger}
    assert await ids(orphan) == {orphan}
    assert await ids(itself) == {itself}
    assert await ids(one) == await ids(other) == {one, other}


@pytest.mark.parametrize("event_id", [NOBODY, "nothing", "a%00b"])
async def test_a_tree_of_nothing_is_not_found(client: AsyncClient, event_id: str) -> None:
    answer = await client.get(f"/v1/events/{event_id}/tree")

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize("path", ["/v1/events", f"/v1/events/{NOBODY}/tree"])
async def test_looking_at_events_needs_the_scope_read(client: AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Authorization": "Bearer publisher"})

    assert (answer.status_code, answer.json()["scope"]) == (403, "read")
