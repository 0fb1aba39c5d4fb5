"""A user is registered and gets a mail: by REST, and by events of other systems on every door."""

import json
import re
from base64 import b64decode
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from tests.e2e.conftest import Outside, System
from tests.until import until


def address() -> str:
    return f"user.{uuid4().hex[:10]}@example.com"


def user(to: str) -> dict[str, object]:
    return {"user_id": uuid4().hex, "name": "Grace Hopper", "email": to}


async def test_a_registered_user_gets_a_mail_and_one_trace_links_it_all(
    system: System, outside: Outside
) -> None:
    to = address()

    answer = await outside.http.post("/v1/users", json={"name": "Ada Lovelace", "email": to})
    registered = answer.json()
    (link,) = [job for job in registered["jobs"] if job["handler"] == "email.send_welcome"]
    job = await outside.final(link["id"])
    mail = await system.mail_to(to)

    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/users/{registered['id']}"
    assert (job["state"], job["attempt"]) == ("succeeded", 1)
    assert "Ada Lovelace" in mail["Subject"]
    trace_id = answer.headers["x-trace-id"]
    assert registered["trace_id"] == job["trace_id"] == trace_id
    for service in ("gateway", "email"):
        assert any(trace_id in line for line in system.log(service).splitlines()), service


async def test_the_mail_is_read_in_the_monitor_with_the_way_to_its_job(
    system: System, outside: Outside
) -> None:
    to, monitor = address(), system.state["monitor"]
    answer = await outside.http.post("/v1/users", json={"name": "Ada", "email": to})
    (job,) = [job for job in answer.json()["jobs"] if job["handler"] == "email.send_welcome"]
    await system.mail_to(to)

    found = await outside.http.get(f"{monitor}/mail", params={"q": to})
    (mail,) = re.findall(r'<a href="(/mail/[^"?]+)">', found.text)
    shown = await outside.http.get(f"{monitor}{mail}")

    assert f'href="/jobs/{quote(job["id"])}"' in shown.text


async def test_the_trace_holds_the_request_the_bus_the_attempt_and_the_mail(
    system: System, outside: Outside
) -> None:
    to = address()
    answer = await outside.http.post("/v1/users", json={"name": "Ada", "email": to})
    trace_id = answer.headers["x-trace-id"]
    monitor = system.state["monitor"]

    async def whole() -> bool:
        found = await outside.http.get(f"{monitor}/api/traces/{trace_id}")
        spans = found.json()["data"][0]["spans"] if found.is_success else []
        return {
            "POST /v1/users",
            "create user.registered",
            "send events:user.registered",
            "process events:user.registered",
            "SMTP send",
        } <= {span["operationName"] for span in spans}

    assert await until(whole, within=20, what="the whole trace")


async def test_an_event_that_another_system_adds_to_a_stream_ends_in_one_mail(
    system: System, outside: Outside
) -> None:
    to = address()

    await outside.redis.xadd("events:user.registered", {"data": json.dumps(user(to))})
    await system.mail_to(to)

    assert len(system.mails_to(to)) == 1


async def test_an_event_that_another_system_publishes_on_nats_ends_in_one_mail(
    system: System, outside: Outside
) -> None:
    to = address()
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(uuid4()),
        "ce-source": "/crm",
        "ce-type": "user.registered",
        "ce-datacontenttype": "application/json",
    }

    await outside.nats.publish("events.user.registered", json.dumps(user(to)).encode(), headers=headers)
    await system.mail_to(to)
    job = await outside.final(f"email.send_welcome:{headers['ce-id']}")

    assert len(system.mails_to(to)) == 1
    assert job["state"] == "succeeded"


async def test_a_structured_cloudevent_over_http_ends_in_one_mail(system: System, outside: Outside) -> None:
    to = address()
    event = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/crm",
        "type": "user.registered",
        "datacontenttype": "application/json",
        "data": user(to),
    }

    answer = await outside.http.post(
        "/v1/events", content=json.dumps(event), headers={"Content-Type": "application/cloudevents+json"}
    )
    await system.mail_to(to)
    shown = (await outside.http.get(f"/v1/events/{event['id']}")).json()

    assert answer.status_code == 202
    assert answer.json()["event_id"] == event["id"]
    assert shown["data"] == event["data"]
    assert [job["handler"] for job in shown["jobs"]] == ["email.send_welcome", "report.record_user"]
    assert len(system.mails_to(to)) == 1


async def test_the_same_event_on_both_buses_ends_in_one_mail(system: System, outside: Outside) -> None:
    to, event_id = address(), str(uuid4())
    attributes = {
        "ce-specversion": "1.0",
        "ce-id": event_id,
        "ce-source": "/crm",
        "ce-type": "user.registered",
    }
    data = json.dumps(user(to)).encode()

    await outside.redis.xadd("events:user.registered", {**attributes, "data": data})
    await outside.nats.publish("events.user.registered", data, headers=attributes)
    await outside.final(f"email.send_welcome:{event_id}")

    async def both_taken() -> bool:
        groups = await outside.redis.xinfo_groups("events:user.registered")
        info = await outside.nats.jetstream().consumer_info("EVENTS", "email_send_welcome")
        waiting = (info.num_pending or 0) + (info.num_ack_pending or 0)
        return waiting == 0 and all(group["pending"] == 0 and not group["lag"] for group in groups)

    await until(both_taken)

    assert len(system.mails_to(to)) == 1


async def test_garbage_on_each_bus_holds_nobody_up_and_is_kept(system: System, outside: Outside) -> None:
    before = {letter["id"] for letter in await _letters(outside)}
    to = address()

    await outside.redis.xadd("events:user.registered", {"data": b"\x00\xff garbage on redis"})
    await outside.redis.xadd("events:user.registered", {"data": json.dumps(user(to))})
    await outside.nats.publish("events.user.registered", b"\x00\xff garbage on nats")
    await system.mail_to(to, within=2)

    async def kept() -> list[dict[str, Any]] | None:
        letters = [letter for letter in await _letters(outside) if letter["id"] not in before]
        return letters if len(letters) == 2 else None

    letters = await until(kept)
    # A message without attributes is an event with filled-in ones; its data are the bytes that came.
    came = {b64decode(letter["event"]["data_base64"]) for letter in letters}

    assert [letter["reason"] for letter in letters] == ["invalid", "invalid"]
    assert came == {b"\x00\xff garbage on redis", b"\x00\xff garbage on nats"}


async def _letters(outside: Outside) -> list[dict[str, Any]]:
    """Those of one of the two handlers: each has the garbage."""
    answer = await outside.http.get("/v1/dead", params={"handler": "email.send_welcome"})
    return answer.json()["items"]


async def test_an_event_shows_its_jobs_and_what_they_caused(outside: Outside) -> None:
    to = address()
    registered = (await outside.http.post("/v1/users", json={"name": "Ada", "email": to})).json()
    for link in registered["jobs"]:
        await outside.final(link["id"])

    shown = (await outside.http.get(f"/v1/events/{registered['event_id']}")).json()

    assert [(job["handler"], job["state"]) for job in shown["jobs"]] == [
        ("email.send_welcome", "succeeded"),
        ("report.record_user", "succeeded"),
    ]
    assert [event["type"] for event in shown["caused"]] == ["email.sent"]


async def test_a_job_that_waits_for_a_retry_is_cancelled_and_run_again(
    system: System, outside: Outside
) -> None:
    busy = f"busy.{uuid4().hex[:8]}@example.com"
    mail = {"to": busy, "subject": "Hello", "text": "Are you there?"}
    requested = (await outside.http.post("/v1/emails", json=mail)).json()
    (link,) = requested["jobs"]

    async def refused_once() -> bool:
        job = (await outside.http.get(link["href"])).json()
        return job["state"] == "retrying"

    await until(refused_once)
    cancelled = await outside.http.post(f"{link['href']}/cancel")
    again = await outside.http.post(f"{link['href']}/cancel")
    job = await outside.final(link["id"])
    retried = await outside.http.post(f"{link['href']}/retry")
    await until(refused_once)
    done = await outside.http.post(f"/v1/jobs/email.send:{uuid4()}/cancel")

    assert (cancelled.status_code, cancelled.json()["state"], job["state"]) == (202, "cancelled", "cancelled")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/job-is-final")
    assert (retried.status_code, retried.json()["state"]) == (202, "queued")
    assert done.status_code == 404
    assert system.mails_to(busy) == []
    await outside.http.post(f"{link['href']}/cancel")


async def test_a_job_that_succeeded_does_not_run_again(outside: Outside) -> None:
    registered = (await outside.http.post("/v1/users", json={"name": "Ada", "email": address()})).json()
    link = registered["jobs"][0]
    await outside.final(link["id"])

    retried = await outside.http.post(f"{link['href']}/retry")

    assert (retried.status_code, retried.json()["type"]) == (409, "/problems/job-cannot-run-again")
