"""Schedules over HTTP: entered, edited by who has read them, paused, run, previewed; faults with pointers."""

from typing import Any

from httpx import AsyncClient

from tests.gateway.door.conftest import Query

NIGHTLY = {"name": "nightly", "cron": "30 2 * * *", "timezone": "Europe/Warsaw", "type": "cron.cleanup"}


async def entered(client: AsyncClient, **more: Any) -> Any:
    answer = await client.post("/v1/schedules", json=NIGHTLY | more)
    assert answer.status_code == 201, answer.text
    return answer


async def test_an_entered_schedule_is_shown_with_its_next_tick_and_an_etag(client: AsyncClient) -> None:
    made = await entered(client)

    shown = await client.get(made.headers["location"])

    assert shown.status_code == 200
    assert shown.headers["etag"] == made.headers["etag"]
    assert shown.json() == made.json()
    assert shown.json()["status"] == "active"
    assert shown.json()["next_at"].endswith("30:00.000000Z")
    assert shown.json()["misfire"] == "fire_once"
    assert (await client.get("/v1/schedules")).json() == {"items": [shown.json()], "next": None}
    assert (await client.post("/v1/schedules", json=NIGHTLY)).json()["type"] == "/problems/schedule-exists"


async def test_schedules_are_listed_in_pages_by_name(client: AsyncClient) -> None:
    for name in ("b", "a", "c"):
        await entered(client, name=name)

    first = (await client.get("/v1/schedules", params={"limit": 2})).json()
    second = (await client.get("/v1/schedules", params={"limit": 2, "cursor": first["next"]})).json()

    assert [item["id"] for item in first["items"]] == ["a", "b"]
    assert ([item["id"] for item in second["items"]], second["next"]) == (["c"], None)


async def test_an_edit_needs_the_etag_of_what_was_read(client: AsyncClient) -> None:
    made = await entered(client)
    url, etag = made.headers["location"], made.headers["etag"]

    without = await client.patch(url, json={"cron": "0 3 * * *"})
    edited = await client.patch(url, json={"every": "90s"}, headers={"If-Match": etag})
    stale = await client.patch(url, json={"cron": "0 4 * * *"}, headers={"If-Match": etag})
    stale_removal = await client.delete(url, headers={"If-Match": etag})

    assert (without.status_code, without.json()["type"]) == (428, "/problems/if-match-required")
    assert (edited.status_code, edited.json()["cron"], edited.json()["every"]) == (200, None, 90)
    assert edited.headers["etag"] != etag
    assert (stale.status_code, stale.json()["type"]) == (412, "/problems/edited-meanwhile")
    assert stale_removal.status_code == 412
    assert (await client.delete(url, headers={"If-Match": edited.headers["etag"]})).status_code == 204
    assert (await client.get(url)).status_code == 404
    assert (await client.patch(url, json={}, headers={"If-Match": "*"})).status_code == 404


async def test_what_is_not_edited_stays_and_other_fields_do_not_move_the_next_tick(
    client: AsyncClient,
) -> None:
    made = await entered(client, starts_at="2030-01-01T00:00:00Z")

    edited = await client.patch(made.headers["location"], json={"overlap": "skip"}, headers={"If-Match": "*"})

    before, after = made.json(), edited.json()
    assert after["overlap"] == "skip"
    assert {name: value for name, value in after.items() if name not in {"overlap", "updated_at"}} == {
        name: value for name, value in before.items() if name not in {"overlap", "updated_at"}
    }


async def test_a_schedule_is_paused_with_a_note_and_resumed(client: AsyncClient) -> None:
    url = (await entered(client)).headers["location"]

    paused = (await client.post(f"{url}/pause", json={"note": "stock is counted"})).json()
    again = (await client.post(f"{url}/pause")).json()
    resumed = (await client.post(f"{url}/resume")).json()

    assert (paused["status"], paused["note"]) == ("paused", "stock is counted")
    assert again["status"] == "paused"
    assert (resumed["status"], resumed["note"], resumed["paused_at"]) == ("active", None, None)


async def test_a_run_by_hand_is_one_commit_of_event_and_tick(client: AsyncClient, query: Query) -> None:
    url = (await entered(client)).headers["location"]

    ran = await client.post(f"{url}/run", headers={"Idempotency-Key": "run-1"})
    again = await client.post(f"{url}/run", headers={"Idempotency-Key": "run-1"})

    assert ran.status_code == 202, ran.text
    assert again.json() == ran.json()
    [tick] = (await client.get(f"{url}/ticks")).json()["items"]
    assert (tick["decision"], tick["cause"]) == ("fired", "by_hand")
    assert (tick["event_id"], tick["tick"]) == (ran.json()["event_id"], ran.json()["tick"])
    event = (await client.get(ran.headers["location"])).json()
    assert event["data"] == {"schedule": "nightly", "tick": ran.json()["tick"]}
    assert len(await query("SELECT FROM gateway.events WHERE source = '/trunkline/scheduler'")) == 1


async def test_a_preview_shows_where_the_clocks_are_put(client: AsyncClient) -> None:
    url = (await entered(client)).headers["location"]

    spring = await client.get(f"{url}/preview", params={"count": 2, "from": "2026-03-28T12:00:00Z"})
    autumn = await client.get(f"{url}/preview", params={"count": 2, "from": "2026-10-24T12:00:00Z"})

    skipped, usual = spring.json()["items"]
    assert (skipped["at"], skipped["local"]) == ("2026-03-29T01:00:00.000000Z", "2026-03-29T03:00:00+02:00")
    assert (skipped["dst"], skipped["meant"]) == ("skipped", "2026-03-29T02:30:00")
    assert (usual["dst"], usual["local"]) == (None, "2026-03-30T02:30:00+02:00")
    repeated, after = autumn.json()["items"]
    assert (repeated["dst"], repeated["local"]) == ("repeated", "2026-10-25T02:30:00+02:00")
    assert after["local"] == "2026-10-26T02:30:00+01:00"
    assert len((await client.get(f"{url}/preview")).json()["items"]) == 5


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"cron": "61 * * * *"}, "#/cron", "no such minute"),
    ({"cron": "* * * *"}, "#/cron", "4 fields"),
    ({"cron": "0 0 31 2 *"}, "#/cron", "no such"),
    ({"cron": None}, "#/cron", "either cron or every"),
    ({"every": 60}, "#/cron", "either cron or every"),
    ({"cron": None, "every": "0.5"}, "#/every", "must be"),
    ({"cron": None, "every": "soon"}, "#/every", "duration"),
    ({"cron": None, "every": 1e300}, "#/every", ""),
    ({"timezone": "Europe/Atlantis"}, "#/timezone", "no IANA time zone"),
    ({"timezone": "../../etc/passwd"}, "#/timezone", "no IANA time zone"),
    ({"timezone": "Europe"}, "#/timezone", "no IANA time zone"),
    ({"timezone": ""}, "#/timezone", "no IANA time zone"),
    ({"type": "cron.nothing"}, "#/type", "cron.cleanup"),
    ({"type": "user.registered"}, "#/data/user_id", "required"),
    ({"data": {"text": "\0"}}, "#/data", "U+0000"),
    ({"misfire": "maybe"}, "#/misfire", "fire_once"),
    ({"starts_at": "2027-01-02T00:00:00Z", "ends_at": "2027-01-01T00:00:00Z"}, "#/ends_at", "before"),
    ({"starts_at": "2027-01-02T00:00:00"}, "#/starts_at", "timezone"),
    ({"starts_at": "0001-01-01T00:00:00+14:00"}, "#/starts_at", ""),
    ({"catch_up": -1}, "#/catch_up", "less than 0"),
    ({"jitter": "2h"}, "#/jitter", ""),
    ({"name": "No Spaces"}, "#/name", ""),
    ({"colour": "red"}, "#/colour", ""),
]


async def test_each_fault_of_a_new_schedule_is_named_with_a_pointer(client: AsyncClient) -> None:
    for fault, pointer, told in FAULTS:
        refused = await client.post("/v1/schedules", json=NIGHTLY | fault)

        assert refused.status_code == 422, (fault, refused.text)
        [error, *_] = refused.json()["errors"]
        assert error["pointer"] == pointer, fault
        assert told in error["detail"], fault


async def test_a_faulty_edit_changes_nothing(client: AsyncClient) -> None:
    made = await entered(client)
    url, headers = made.headers["location"], {"If-Match": made.headers["etag"]}

    answers = [
        await client.patch(url, json=change, headers=headers)
        for change in (
            {"timezone": "Mars"},
            {"name": "other"},
            {"type": "user.registered"},
            ["cron"],
            {"jitter": 1e9},
        )
    ]

    assert [answer.status_code for answer in answers] == [422] * 5
    assert (await client.get(url)).headers["etag"] == made.headers["etag"]


async def test_a_reader_sees_schedules_and_only_an_operator_changes_them(client: AsyncClient) -> None:
    url = (await entered(client)).headers["location"]
    reader = {"Authorization": "Bearer only-read"}

    assert (await client.get(url, headers=reader)).status_code == 200
    assert (await client.get(f"{url}/preview", headers=reader)).status_code == 200
    for request in (
        client.post(f"{url}/run", headers=reader),
        client.post(f"{url}/pause", headers=reader),
        client.delete(url, headers=reader | {"If-Match": "*"}),
    ):
        assert (await request).status_code == 403


async def test_what_does_not_exist_or_cannot_be_read_is_a_problem(client: AsyncClient) -> None:
    await entered(client)

    for path, status in {
        "nobody": 404,
        "nobody/preview": 404,
        "nobody/ticks": 404,
        "%00": 404,
        "%00/ticks": 404,
        "nightly/preview?count=0": 422,
        "nightly/preview?count=101": 422,
        "nightly/preview?from=noon": 422,
        "nightly/preview?from=0001-01-01T00:00:00%2B14:00": 422,
        "nightly/ticks?cursor=x": 422,
        "?cursor=%00": 422,
    }.items():
        answer = await client.get(f"/v1/schedules/{path}" if path[0] != "?" else f"/v1/schedules{path}")

        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_preview_ends_with_the_calendar(client: AsyncClient) -> None:
    url = (await entered(client)).headers["location"]

    answer = await client.get(f"{url}/preview", params={"from": "9998-12-31T12:00:00Z"})

    assert answer.json()["items"] == []
