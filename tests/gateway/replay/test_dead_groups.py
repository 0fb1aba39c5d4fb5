"""GET /v1/dead/groups: one line for each failure; and its fingerprint as a filter, of a replay too."""

from datetime import timedelta
from typing import Any

from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import rfc3339
from tests.gateway.history.stand_in import WELCOME
from tests.gateway.replay.conftest import DEAD_SINCE, Bury, ended, queued

RECORD = "report.record_user"
LATER = DEAD_SINCE + timedelta(hours=1)
SEND = """Traceback (most recent call last):
  File "/srv/email_service/handlers.py", line {line}, in {function}
    await mailer.deliver(event)
  File "/usr/lib/python3.13/site-packages/smtp/client.py", line 7, in deliver
    raise RelayBusy("busy")
RelayBusy: busy
"""


async def groups(client: AsyncClient, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get("/v1/dead/groups", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"] is None
    return answer.json()["items"]


async def test_dead_jobs_are_grouped_by_what_they_died_of_the_last_first(
    client: AsyncClient, bury: Bury
) -> None:
    first = await bury(2, stack=SEND.format(line=12, function="send"), message="no answer from 10.0.0.1")
    last = await bury(
        1, stack=SEND.format(line=13, function="send"), message="no answer", reason="poison", since=LATER
    )
    other = await bury(1, stack=SEND.format(line=12, function="send_again"))
    record = await bury(
        1, handler=RECORD, error="KeyError", message="no such user", since=LATER + timedelta(minutes=1)
    )

    found = await groups(client)

    assert [(group["handler"], group["count"]) for group in found] == [
        (RECORD, 1),
        (WELCOME, 3),
        (WELCOME, 1),
    ]
    assert found[1] | {"fingerprint": ""} == {
        "fingerprint": "",
        "handler": WELCOME,
        "service": "email",
        "error": "RelayBusy",
        "message": "no answer",
        "frame": "email_service/handlers.py:13 in send",
        "reasons": {"exhausted": 2, "poison": 1},
        "count": 3,
        "first_at": rfc3339(DEAD_SINCE),
        "last_at": rfc3339(LATER),
        "sample_id": last[0],
    }
    assert (found[0]["frame"], found[0]["message"], found[0]["sample_id"]) == (
        None,
        "no such user",
        record[0],
    )
    assert found[2]["sample_id"] == other[0]
    for job_id in (*first, *last):
        assert (await client.get(f"/v1/dead/{job_id}")).json()["fingerprint"] == found[1]["fingerprint"]
        assert (await client.get(f"/v1/jobs/{job_id}")).json()["fingerprint"] == found[1]["fingerprint"]


async def test_groups_are_of_the_jobs_that_pass_the_filter(client: AsyncClient, bury: Bury) -> None:
    await bury(2)
    await bury(1, handler=RECORD, error="KeyError", message="no such user_1%", since=LATER)

    async def counts(**params: Any) -> dict[str, int]:
        return {group["handler"]: group["count"] for group in await groups(client, **params)}

    assert await counts(handler=RECORD) == await counts(service="report") == {RECORD: 1}
    assert await counts(text="user_1%") == await counts(since=rfc3339(LATER)) == {RECORD: 1}
    assert await counts(since=rfc3339(DEAD_SINCE + timedelta(seconds=1))) == {RECORD: 1, WELCOME: 1}
    assert await counts(until=rfc3339(LATER)) == {WELCOME: 2}
    assert await counts(limit=1) == {RECORD: 1}
    assert await counts(handler="nobody.there") == {}
    refused = await client.get("/v1/dead/groups", params={"text": "us"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/text")


async def test_the_fingerprint_is_a_filter_of_the_lists_and_of_a_replay(
    client: AsyncClient, bury: Bury, redis: Any
) -> None:
    mails = await bury(2, stack=SEND.format(line=12, function="send"))
    await bury(1, stack=SEND.format(line=12, function="send_again"))
    fingerprint = (await client.get(f"/v1/jobs/{mails[0]}")).json()["fingerprint"]

    for path in ("/v1/dead", "/v1/jobs"):
        page = (await client.get(path, params={"fingerprint": fingerprint})).json()
        assert {job["id"] for job in page["items"]} == set(mails)
        assert {job["fingerprint"] for job in page["items"]} == {fingerprint}
        assert (await client.get(path, params={"fingerprint": "no hex"})).status_code == 422
    answer = await client.post("/v1/dead/replay", json={"filter": {"fingerprint": fingerprint}, "rate": 1000})
    done = await ended(client, answer.headers["location"])

    assert (done["matched"], done["replayed"], done["filter"]) == (2, 2, {"fingerprint": fingerprint})
    assert await queued(redis) == mails
    assert (await client.get(f"/v1/jobs/{mails[0]}")).json()["fingerprint"] is None
    odd = {"filter": {"fingerprint": "XY"}}
    refused = await client.post("/v1/dead/replay", json=odd)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/filter/fingerprint")


async def test_what_died_before_there_were_fingerprints_is_grouped_by_handler_and_error(
    client: AsyncClient, bury: Bury, engine: AsyncEngine
) -> None:
    mails = await bury(2, stack=SEND.format(line=12, function="send"))
    await bury(1, error="KeyError")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE gateway.jobs SET fingerprint = NULL, frame = NULL"))

    found = {group["error"]: group for group in await groups(client)}

    assert {error: group["count"] for error, group in found.items()} == {"RelayBusy": 2, "KeyError": 1}
    assert found["RelayBusy"]["frame"] is None
    listed = await client.get("/v1/dead", params={"fingerprint": found["RelayBusy"]["fingerprint"]})
    assert {job["id"] for job in listed.json()["items"]} == set(mails)


async def test_a_filter_by_fingerprint_goes_by_its_index(engine: AsyncEngine) -> None:
    by_index = """
        EXPLAIN SELECT id FROM gateway.jobs WHERE state = 'dead' AND
            coalesce(fingerprint, left(md5(jobs.handler || ':' || coalesce(jobs.error_type, '')), 16)) = 'x'
        ORDER BY finished_at DESC, id DESC LIMIT 1
    """
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join((await connection.execute(text(by_index))).scalars())

    assert "jobs_dead_by_fingerprint" in plan
