"""POST /v1/schedules/preview: what a schedule would do, before it is entered or changed."""

from typing import Any

import pytest
from httpx import AsyncClient

from tests.gateway.schedules.test_schedules import NIGHTLY, entered

SPRING = {"count": 2, "from": "2026-03-28T12:00:00Z"}


async def preview(client: AsyncClient, **draft: Any) -> Any:
    return await client.post(
        "/v1/schedules/preview", json=draft, headers={"Authorization": "Bearer only-read"}
    )


async def test_a_new_schedule_is_previewed_as_it_will_be_once_it_is_entered(client: AsyncClient) -> None:
    draft = (await preview(client, **NIGHTLY, **SPRING)).json()
    assert (await client.get("/v1/schedules")).json()["items"] == []
    url = (await entered(client)).headers["location"]

    assert (await client.get(f"{url}/preview", params=SPRING)).json() == draft
    assert draft["plain"] == "At 02:30 every day, Europe/Warsaw"
    assert [item["dst"] for item in draft["items"]] == ["skipped", None]
    assert (await client.get(url)).json()["plain"] == draft["plain"]


async def test_changes_are_previewed_without_being_made(client: AsyncClient) -> None:
    made = await entered(client)

    found = (await preview(client, name="nightly", every="1h", **SPRING)).json()

    assert found["plain"] == "Every hour"
    assert [item["at"] for item in found["items"]] == [
        "2026-03-28T13:00:00.000000Z",
        "2026-03-28T14:00:00.000000Z",
    ]
    assert (await client.get(made.headers["location"])).json() == made.json()
    assert len((await preview(client, name="nightly")).json()["items"]) == 5


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        ({**NIGHTLY, "cron": "61 * * * *"}, "#/cron"),
        ({**NIGHTLY, "timezone": "Europe/Atlantis"}, "#/timezone"),
        ({**NIGHTLY, "cron": None, "every": "soon"}, "#/every"),
        ({**NIGHTLY, "colour": "red"}, "#/colour"),
        ({**NIGHTLY, "count": 101}, "#/count"),
        ({**NIGHTLY, "from": "soon"}, "#/from"),
        ({**NIGHTLY, "name": "a\0b"}, "#/name"),
        ({"cron": "* * * * *"}, "#/name"),
    ],
)
async def test_each_fault_of_a_draft_is_named_with_a_pointer(
    client: AsyncClient, draft: dict[str, Any], pointer: str
) -> None:
    refused = await preview(client, **draft)

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer), refused.text


async def test_changes_of_a_schedule_that_is_not_there_are_refused(client: AsyncClient) -> None:
    assert (await preview(client, name="nobody", cron="0 1 * * *")).status_code == 404
