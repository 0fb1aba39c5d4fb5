"""POST and GET of groups: one commit, clear refusals, safe to repeat."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.gateway.groups.conftest import THEN, House, mail, member
from tests.gateway.history.stand_in import rows

pytestmark = pytest.mark.parametrize("bus_name", ["redis"], indirect=True)

READER = {"authorization": "Bearer only-read"}
PUBLISHER = {"authorization": "Bearer only-publish"}
MAIL = mail().model_dump(mode="json", exclude_none=True)


async def test_a_posted_group_is_committed_with_its_events(house: House) -> None:
    opened = await house.open_group(member(1, id="mail-1"), member(2))

    group = await house.group(opened["id"])
    events = [await house.event(event_id) for event_id in opened["events"]]
    assert (opened["state"], opened["members"], opened["then"]["type"]) == ("open", 2, "email.bounced")
    assert (group["state"], group["members"], group["settled"], group["failed"]) == ("open", 2, 0, 0)
    assert (group["opened_by"], group["completed_at"]) == (None, None)
    assert group["then"] == opened["then"]
    assert await house.event(opened["then"]["id"]) is None
    assert [event and event["data"]["email_id"] for event in events] == ["m-1", "m-2"]
    assert {event["attributes"]["groupid"] for event in events if event} == {opened["id"]}
    assert {event["correlation_id"] for event in events if event} == {opened["id"]}
    assert [event and event["attributes"].get("originalid") for event in events] == ["mail-1", None]


async def test_a_member_may_be_delivered_later_and_expire(house: House) -> None:
    opened = await house.open_group(
        member(1, deliver_at="2099-01-01T00:00:00+01:00", expires_at="2099-01-02T00:00:00Z")
    )

    event = await house.event(opened["events"][0])

    assert event is not None
    assert event["attributes"]["deliverat"] == "2098-12-31T23:00:00.000000Z"
    assert event["attributes"]["expirytime"] == "2099-01-02T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("body", "status", "kind", "pointer"),
    [
        ([], 422, "invalid", "#"),
        ({"events": []}, 422, "invalid", "#/then"),
        ({"events": {}, "then": THEN}, 422, "invalid", "#/events"),
        ({"events": [], "then": THEN, "els": 1}, 422, "invalid", "#/els"),
        ({"events": [{"type": "email.requested"}], "then": THEN}, 422, "invalid", "#/events/0/data"),
        ({"events": [member(1) | {"data": []}], "then": THEN}, 422, "invalid", "#/events/0/data"),
        ({"events": [member(1) | {"id": ""}], "then": THEN}, 422, "invalid", "#/events/0/id"),
        ({"events": [member(1, id="a"), member(2, id="a")], "then": THEN}, 422, "invalid", "#/events/1/id"),
        ({"events": [member(1, deliver_at="soon")], "then": THEN}, 422, "invalid", "#/events/0/deliver_at"),
        (
            {"events": [member(1, expires_at="2099-01-01T00:00:00")], "then": THEN},
            422,
            "invalid",
            "#/events/0/expires_at",
        ),
        ({"events": [{"type": "", "data": {}}] * 10_001, "then": THEN}, 422, "invalid", "#/events"),
        ({"events": [member(1) | {"id": "a\u0007"}], "then": THEN}, 400, "invalid-event", "#/events/0/id"),
        (
            {"events": [member(1) | {"type": "no type"}], "then": THEN},
            400,
            "invalid-event",
            "#/events/0/type",
        ),
        ({"events": [member(1) | {"type": "no.type"}], "then": THEN}, 422, "unknown-type", None),
        (
            {"events": [member(1), member(2) | {"data": MAIL | {"to": "nobody"}}], "then": THEN},
            422,
            "invalid-data",
            "#/events/1/data/to",
        ),
        (
            {"events": [], "then": THEN | {"data": {"email_id": "1"}}},
            422,
            "invalid-data",
            "#/then/data/reason",
        ),
        (
            {
                "events": [member(1) | {"data": MAIL | {"fields": {"n": 2**70}, "text": 10**400}}],
                "then": THEN,
            },
            422,
            "invalid-data",
            "#/events/0/data/text",
        ),
    ],
)
async def test_a_faulty_group_is_refused_whole_with_a_pointer(
    house: House, body: Any, status: int, kind: str, pointer: str | None
) -> None:
    answer = await house.client.post("/v1/groups", json=body)

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"/problems/{kind}"), problem
    if pointer is not None:
        assert pointer in [error["pointer"] for error in problem["errors"]]
    assert (
        await rows(house.engine, "SELECT 1 FROM gateway.events UNION ALL SELECT 1 FROM gateway.groups") == []
    )


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b'{"events": [' * 5000,
        b'{"events": [], "then": {"type": "email.bounced", "data": {"email_id": NaN, "reason": "r"}}}',
        b'{"events": [], "then": {"type": "email.bounced", "data": {"email_id": "\\ud800", "reason": "r"}}}',
        b'{"events": [], "then": {"type": "email.bounced", "data": {"email_id": "1", "reason": ["\xff"]}}}',
    ],
)
async def test_bytes_that_are_no_json_are_refused(house: House, body: bytes) -> None:
    answer = await house.client.post("/v1/groups", content=body, headers={"content-type": "application/json"})

    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_event_that_no_bus_takes_is_refused(house: House) -> None:
    large = member(1) | {"data": MAIL | {"fields": {f"f{n}": "x" * 10_000 for n in range(100)}}}

    answer = await house.client.post("/v1/groups", json={"events": [large], "then": THEN})

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/event-too-large")
    assert answer.json()["errors"][0]["pointer"] == "#/events/0/data"


async def test_an_event_that_is_known_with_other_content_takes_the_whole_group_back(house: House) -> None:
    await house.open_group(member(1, id="a"))
    before = len(await rows(house.engine, "SELECT 1 FROM gateway.events"))

    answer = await house.client.post(
        "/v1/groups", json={"events": [member("new", id="b"), member("other", id="a")], "then": THEN}
    )

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/id-taken")
    assert len(await rows(house.engine, "SELECT 1 FROM gateway.events")) == before
    assert len(await rows(house.engine, "SELECT 1 FROM gateway.groups")) == 1


async def test_a_group_of_events_that_are_settled_already_is_completed_at_once(house: House) -> None:
    first = await house.open_group(member(1, id="a"))
    async with house.engine.begin() as connection:
        await connection.execute(text("UPDATE gateway.events SET settled_at = now()"))

    second = await house.open_group(member(1, id="a"))

    assert second["events"] == first["events"]
    assert second["state"] == "completed"
    assert second["then"]["id"] != first["then"]["id"]
    assert await house.event(second["then"]["id"]) is not None


async def test_a_repeated_request_with_a_key_opens_one_group(house: House) -> None:
    key = {"idempotency-key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}

    first = await house.open_group(member(1), **key)
    second = await house.open_group(member(1), **key)

    assert first == second
    assert len(await rows(house.engine, "SELECT 1 FROM gateway.groups")) == 1
    assert (await house.group(first["id"]))["members"] == 1


@pytest.mark.parametrize("id_", ["0192f0c1-7a3b-7cde-8f01-23456789abcd", "nothing", "%00"])
async def test_a_group_that_is_not_there_is_not_found(house: House, id_: str) -> None:
    answer = await house.client.get(f"/v1/groups/{id_}")

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


async def test_publishing_a_group_and_reading_one_need_their_scopes(house: House) -> None:
    opened = await house.open_group(member(1))
    body = {"events": [member(2)], "then": THEN}

    writing = await house.client.post("/v1/groups", json=body, headers=READER)
    reading = await house.client.get(f"/v1/groups/{opened['id']}", headers=PUBLISHER)

    assert (writing.status_code, writing.json()["scope"]) == (403, "publish")
    assert (reading.status_code, reading.json()["scope"]) == (403, "read")
