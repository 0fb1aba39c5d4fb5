"""POST /v1/jobs: one handler's job, accepted, committed, enqueued, settled."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from gateway.settings import GatewaySettings
from shared.bus import Bus
from shared.bus.redis_streams import RedisClient
from shared.contracts import BATCH_TYPE, new_id
from tests.gateway.door.conftest import Query, served
from tests.gateway.door.events import ADA, binary, structured
from tests.gateway.door.jobs import (
    JOB,
    MAIL,
    UNIQUE,
    count,
    in_state,
    job_of,
    on_queue,
    problem,
    register,
    working,
)
from tests.until import until


@pytest.fixture(autouse=True)
async def registered(redis: RedisClient) -> None:
    """The handlers are known; no worker lives."""
    await register(redis)


@pytest.fixture
async def bus(settings: GatewaySettings) -> AsyncIterator[Bus]:
    async with Bus.open(settings) as bus:
        yield bus


async def test_a_job_is_committed_and_then_lies_on_its_handlers_queue_alone(
    client: AsyncClient, redis: RedisClient, query: Query
) -> None:
    answer = await client.post("/v1/jobs", json=JOB)

    body = answer.json()
    event_id = body["event_id"]
    job_id = f"email.send:{event_id}"
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    assert answer.headers["location"] == f"/v1/jobs/{job_id}"
    assert "trunkline-duplicate" not in answer.headers
    assert body["type"] == "email.requested"
    assert body["jobs"] == [
        {"id": job_id, "handler": "email.send", "state": "queued", "href": f"/v1/jobs/{job_id}"}
    ]
    [row] = await query("SELECT type, source, attributes::text, data FROM gateway.events")
    assert (row["type"], row["source"], json.loads(row["data"])) == (
        "email.requested",
        "/trunkline/gateway",
        MAIL,
    )
    assert json.loads(row["attributes"])["handler"] == "email.send"
    await on_queue(redis, 1)
    assert await redis.exists("events:email.requested") == 0


async def test_the_event_and_the_list_of_jobs_know_of_the_one_job(client: AsyncClient) -> None:
    event_id = (await client.post("/v1/jobs", json=JOB)).json()["event_id"]

    event = (await client.get(f"/v1/events/{event_id}")).json()
    mine = await client.get(f"/v1/jobs/email.send:{event_id}")
    other = await client.get(f"/v1/jobs/email.audit:{event_id}")

    assert [job["id"] for job in event["jobs"]] == [f"email.send:{event_id}"]
    assert event["attributes"]["handler"] == "email.send"
    assert (mine.status_code, mine.json()["state"]) == (200, "queued")
    assert other.status_code == 404


async def test_its_event_is_settled_when_the_one_job_is_done(
    client: AsyncClient, settings: GatewaySettings, query: Query
) -> None:
    seen: list[str] = []
    event_id = (await client.post("/v1/jobs", json=JOB)).json()["event_id"]

    async with working(settings, seen):

        async def settled() -> bool:
            return bool(
                await query(
                    "SELECT FROM gateway.events WHERE id::text = $1 AND settled_at > '-infinity'", event_id
                )
            )

        await until(settled, within=20)
        event = (await client.get(f"/v1/events/{event_id}")).json()

    assert [(job["id"], job["state"]) for job in event["jobs"]] == [(f"email.send:{event_id}", "succeeded")]
    assert [caused["type"] for caused in event["caused"]] == ["email.sent"]
    assert seen == ["send m-1"]


async def test_an_ordinary_event_is_settled_when_all_its_jobs_are_done(
    client: AsyncClient, settings: GatewaySettings, query: Query
) -> None:
    seen: list[str] = []
    async with working(settings, seen):
        mail = {name: MAIL[name] for name in ("to", "subject", "text")}
        event_id = (await client.post("/v1/emails", json=mail)).json()["event_id"]

        async def settled() -> bool:
            return bool(
                await query(
                    "SELECT FROM gateway.events WHERE id::text = $1 AND settled_at > '-infinity'", event_id
                )
            )

        await until(settled, within=20)

    assert sorted(one.partition(" ")[0] for one in seen) == ["audit", "send"]


async def test_what_was_enqueued_in_python_is_entered_and_settled_with_its_one_job(
    client: AsyncClient, settings: GatewaySettings, bus: Bus, query: Query
) -> None:
    enqueued = await bus.enqueue("email.send", MAIL)
    event_id = enqueued.job_id.rpartition(":")[2]

    async with working(settings, []):

        async def settled() -> bool:
            return bool(
                await query(
                    "SELECT FROM gateway.events WHERE id::text = $1 AND settled_at > '-infinity'", event_id
                )
            )

        await until(settled, within=20)
    event = (await client.get(f"/v1/events/{event_id}")).json()

    assert [job["id"] for job in event["jobs"]] == [enqueued.job_id]


async def test_what_was_enqueued_in_python_is_queued_and_may_be_cancelled_before_a_worker_has_it(
    client: AsyncClient, settings: GatewaySettings, bus: Bus
) -> None:
    seen: list[str] = []
    first, second = [(await bus.enqueue("email.send", MAIL)).job_id for _ in range(2)]

    queued = await client.get(f"/v1/jobs/{first}")
    other = await client.get(f"/v1/jobs/{first.replace('send', 'audit')}")
    cancelled = await client.post(f"/v1/jobs/{first}/cancel")
    async with working(settings, seen):
        await in_state(client, "succeeded", second)

    assert (queued.status_code, queued.json()["state"]) == (200, "queued")
    assert other.status_code == 404
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    assert seen == ["send m-1"]


async def test_a_job_for_later_waits_until_then(
    client: AsyncClient, settings: GatewaySettings, query: Query
) -> None:
    due_at = datetime.now(UTC) + timedelta(hours=1)
    order = {"deliver_at": due_at.isoformat(), "expires_at": (due_at + timedelta(hours=1)).isoformat()}

    async with working(settings, []):
        job_id = job_of(await client.post("/v1/jobs", json=JOB | order))

        async def waits() -> dict[str, Any] | None:
            job = (await client.get(f"/v1/jobs/{job_id}")).json()
            return job if job["due_at"] else None

        job = await until(waits, within=20)

    assert job["state"] == "queued"
    assert abs(datetime.fromisoformat(job["due_at"]) - due_at) < timedelta(milliseconds=2)
    [row] = await query("SELECT attributes ->> 'expirytime' AS until FROM gateway.events")
    assert datetime.fromisoformat(row["until"]) == due_at + timedelta(hours=1)


async def test_the_same_id_again_is_the_same_job(client: AsyncClient, query: Query) -> None:
    first, second = [await client.post("/v1/jobs", json=JOB | {"id": "order-4711"}) for _ in range(2)]

    assert job_of(first) == job_of(second)
    assert ["trunkline-duplicate" in answer.headers for answer in (first, second)] == [False, True]
    assert await count(query) == 1


@pytest.mark.parametrize(
    "change", [{"handler": "email.audit"}, {"data": MAIL | {"text": "Good night."}}], ids=["handler", "data"]
)
async def test_the_same_id_for_another_job_is_refused(
    client: AsyncClient, query: Query, change: dict[str, Any]
) -> None:
    await client.post("/v1/jobs", json=JOB | {"id": "order-4711"})

    answer = await client.post("/v1/jobs", json=JOB | {"id": "order-4711"} | change)

    assert problem(answer) == (409, "id-taken")
    assert await count(query) == 1


async def test_with_an_idempotency_key_the_same_request_is_one_job(client: AsyncClient, query: Query) -> None:
    key = {"idempotency-key": "k-1"}

    answers = [await client.post("/v1/jobs", json=body, headers=key) for body in (JOB, JOB)]
    other = await client.post("/v1/jobs", json=UNIQUE, headers=key)

    assert answers[0].content == answers[1].content
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert problem(other) == (422, "idempotency-key-reused")
    assert await count(query) == 1


async def test_an_unknown_handler_is_answered_with_the_known_ones(client: AsyncClient) -> None:
    answer = await client.post("/v1/jobs", json=JOB | {"handler": "email.sned"})

    assert answer.json()["known"] == ["email.audit", "email.hear", "email.send", "email.send_welcome"]


async def test_a_handler_that_registered_this_moment_is_known(
    client: AsyncClient, redis: RedisClient
) -> None:
    await redis.delete("handlers")
    assert problem(await client.post("/v1/jobs", json=JOB)) == (422, "unknown-handler")

    await register(redis)

    assert (await client.post("/v1/jobs", json=JOB)).status_code == 202


async def test_an_event_that_is_too_large_is_refused(settings: GatewaySettings, query: Query) -> None:
    async with served(settings.model_copy(update={"event_max": 50})) as client:
        answer = await client.post("/v1/jobs", json=JOB)

    assert problem(answer) == (413, "event-too-large")
    assert await count(query) == 0


async def test_only_a_key_with_the_scope_publish_may_enqueue(client: AsyncClient) -> None:
    answers = [
        await client.post("/v1/jobs", json=JOB, headers={"authorization": f"Bearer only-{scope}"})
        for scope in ("read", "publish")
    ]

    assert [answer.status_code for answer in answers] == [403, 202]
    assert answers[0].json()["scope"] == "publish"


@pytest.mark.parametrize(
    ("content_type", "body", "pointer"),
    [
        ("application/json", ADA, "#/ce-handler"),
        ("application/cloudevents+json", structured(handler="email.send"), "#/handler"),
        (BATCH_TYPE, [structured(), structured(id="a-2", handler="email.send")], "#/1/handler"),
    ],
)
async def test_an_event_that_names_a_handler_is_told_to_be_a_job(
    client: AsyncClient, query: Query, content_type: str, body: Any, pointer: str
) -> None:
    headers = binary(ce_handler="email.send") if content_type == "application/json" else {}

    answer = await client.post(
        "/v1/events", content=json.dumps(body), headers={**headers, "content-type": content_type}
    )

    assert problem(answer) == (400, "invalid-event")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await count(query) == 0


async def test_an_id_that_is_a_uuid_is_kept(client: AsyncClient) -> None:
    id_ = new_id()

    answer = await client.post("/v1/jobs", json=JOB | {"id": id_.upper()})

    assert job_of(answer) == f"email.send:{id_}"
