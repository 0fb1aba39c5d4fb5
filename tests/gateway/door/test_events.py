from typing import Any

import pytest
from httpx import AsyncClient, Response

from shared.contracts import BATCH_TYPE, STRUCTURED_TYPE
from tests.gateway.door.conftest import Query
from tests.gateway.door.events import ADA, binary, structured
from tests.until import until


async def post(client: AsyncClient, document: Any, content_type: str = STRUCTURED_TYPE) -> Response:
    return await client.post("/v1/events", json=document, headers={"content-type": content_type})


async def test_an_event_in_binary_mode_is_accepted(client: AsyncClient, query: Query) -> None:
    answer = await client.post("/v1/events", json=ADA, headers=binary(ce_subject="Ada%20%C3%9F"))

    assert answer.status_code == 202
    [row] = await query(
        "SELECT id::text, source, attributes->>'subject', attributes->>'originalid' FROM gateway.events"
    )
    assert tuple(row) == (answer.json()["event_id"], "/shop", "Ada ß", "a-1")
    assert answer.headers["location"] == f"/v1/events/{answer.json()['event_id']}"


@pytest.mark.parametrize("content_type", [STRUCTURED_TYPE, "Application/CloudEvents+JSON; charset=UTF-8"])
async def test_an_event_in_structured_mode_is_accepted(client: AsyncClient, content_type: str) -> None:
    answer = await post(client, structured(), content_type)

    assert (answer.status_code, answer.json()["type"]) == (202, "user.registered")


async def test_a_batch_is_accepted_in_its_order(client: AsyncClient, query: Query) -> None:
    answer = await post(client, [structured(id=f"a-{n}") for n in range(20)], BATCH_TYPE)

    assert answer.status_code == 202
    ids = [item["event_id"] for item in answer.json()["items"]]
    stored = await query("SELECT id::text, attributes->>'originalid' AS given FROM gateway.events")
    assert ids == [row["id"] for row in sorted(stored, key=lambda row: int(row["given"][2:]))]


async def test_the_same_event_twice_is_accepted_once(client: AsyncClient, query: Query) -> None:
    first = await client.post("/v1/events", json=ADA, headers=binary())

    second = await post(client, structured(data=dict(reversed(ADA.items()))))

    assert (second.status_code, second.json()) == (202, first.json())
    assert ("trunkline-duplicate" in first.headers, second.headers["trunkline-duplicate"]) == (False, "true")
    assert len(await query("SELECT FROM gateway.events")) == 1


async def test_the_same_id_with_other_data_is_refused(client: AsyncClient) -> None:
    await post(client, structured())

    answer = await post(client, structured(data=ADA | {"name": "Eve"}))

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/id-taken")


async def test_of_a_batch_with_a_taken_id_nothing_is_accepted(client: AsyncClient, query: Query) -> None:
    await post(client, structured())

    answer = await post(client, [structured(id="new"), structured(data=ADA | {"name": "Eve"})], BATCH_TYPE)

    assert answer.status_code == 409
    assert len(await query("SELECT FROM gateway.events")) == 1


async def test_of_a_batch_with_a_faulty_event_nothing_is_accepted(client: AsyncClient, query: Query) -> None:
    answer = await post(client, [structured(id="new"), structured(data={"user_id": "1"})], BATCH_TYPE)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/1/data/name", "#/1/data/email"]
    assert await query("SELECT FROM gateway.events") == []


async def test_the_same_id_twice_in_a_batch_is_one_event(client: AsyncClient, query: Query) -> None:
    answer = await post(client, [structured(), structured()], BATCH_TYPE)

    assert answer.status_code == 202
    assert len({item["event_id"] for item in answer.json()["items"]}) == 1
    assert len(await query("SELECT FROM gateway.events")) == 1


async def test_an_event_keeps_its_creation_context(client: AsyncClient) -> None:
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    answer = await post(client, structured(traceparent=given))

    assert answer.json()["trace_id"] == given[3:35] != answer.headers["x-trace-id"]


@pytest.mark.parametrize("given", [None, "00-nonsense"])
async def test_an_event_without_a_valid_context_belongs_to_the_request(
    client: AsyncClient, given: str | None
) -> None:
    answer = await post(client, structured(traceparent=given))

    assert answer.json()["trace_id"] == answer.headers["x-trace-id"]


async def test_an_event_without_time_gets_the_time_of_its_acceptance(
    client: AsyncClient, query: Query
) -> None:
    await post(client, structured())

    [row] = await query(
        "SELECT abs(extract(epoch FROM (attributes->>'time')::timestamptz - accepted_at)) AS apart"
        " FROM gateway.events"
    )
    assert row["apart"] < 5


async def test_an_event_is_shown_with_what_it_caused(client: AsyncClient) -> None:
    cause = (await post(client, structured(subject="Ada", time="2026-11-22T06:00:00Z"))).json()["event_id"]
    caused = (await post(client, structured(id="b", causationid=cause))).json()["event_id"]

    async def published() -> dict[str, Any]:
        shown = (await client.get(f"/v1/events/{cause}")).json()
        return shown if shown["published_at"] else {}

    shown = await until(published)
    assert (shown["id"], shown["type"], shown["source"]) == (cause, "user.registered", "/shop")
    assert (shown["data"], shown["subject"], shown["time"]) == (ADA, "Ada", "2026-11-22T06:00:00Z")
    assert (shown["correlation_id"], shown["causation_id"], shown["settled_at"]) == (cause, None, None)
    assert shown["caused"] == [{"id": caused, "type": "user.registered"}]
    assert shown["attributes"]["originalid"] == "a-1"


async def test_an_event_that_was_never_accepted_is_not_found(client: AsyncClient) -> None:
    for event_id in ("01928f3c-0000-7000-8000-000000000000", "no-uuid"):
        answer = await client.get(f"/v1/events/{event_id}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
