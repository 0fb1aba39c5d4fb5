"""A notification: the mail is committed with the answer; audit and cache are looked after once it is out."""

from hashlib import sha256

from httpx import AsyncClient

from gateway.settings import GatewaySettings
from launcher.ports import free_port
from shared.bus.redis_streams import RedisClient
from shared.contracts import EmailRequested, new_id
from shared.settings import Secret
from tests.gateway.door.conftest import Query, served
from tests.until import until

HELLO: dict[str, object] = {"subject": "Hello", "text": "Good morning."}


async def a_user(client: AsyncClient, email: str = "ada@example.com") -> str:
    answer = await client.post("/v1/users", json={"name": "Ada", "email": email})
    return str(answer.json()["id"])


async def the_audit(query: Query, lines: int) -> list[dict[str, object]]:
    async def written() -> list[dict[str, object]]:
        rows = await query("SELECT actor, action, target, event_id::text, trace_id FROM gateway.audit")
        return [dict(row) for row in rows] if len(rows) >= lines else []

    return await until(written, what=f"{lines} lines of the audit")


async def subjects(client: AsyncClient, user_id: str) -> list[str]:
    answer = await client.get(f"/v1/users/{user_id}/notifications")
    assert answer.status_code == 200
    return [item["subject"] for item in answer.json()["items"]]


async def test_a_notification_is_a_mail_and_a_line_of_the_audit(client: AsyncClient, query: Query) -> None:
    user_id = await a_user(client)

    answer = await client.post("/v1/notifications", json={"user_id": user_id, **HELLO})

    told = answer.json()
    assert (answer.status_code, told["status"], told["user_id"]) == (202, "requested", user_id)
    assert answer.headers["location"] == f"/v1/events/{told['event_id']}"
    [row] = await query("SELECT data FROM gateway.events WHERE id::text = $1", told["event_id"])
    assert EmailRequested.model_validate_json(row["data"]) == EmailRequested(
        email_id=told["id"], to="ada@example.com", subject="Hello", text="Good morning."
    )
    [line] = await the_audit(query, 1)
    assert line == {
        "actor": line["actor"],
        "action": "notification.requested",
        "target": told["id"],
        "event_id": told["event_id"],
        "trace_id": told["trace_id"],
    }
    assert str(line["actor"]) not in {"", "everybody"}


async def test_a_new_notification_drops_the_page_that_the_cache_has(
    client: AsyncClient, redis: RedisClient
) -> None:
    user_id = await a_user(client)
    await client.post("/v1/notifications", json={"user_id": user_id, **HELLO})
    key = f"cache:notifications:{user_id}"

    async def kept() -> bool:
        return await subjects(client, user_id) == ["Hello"] and bool(await redis.exists(key))

    await until(kept)
    assert 0 < await redis.pttl(key) <= 30_000
    await client.post("/v1/notifications", json={"user_id": user_id, **HELLO, "subject": "Again"})

    async def fresh() -> bool:
        return await subjects(client, user_id) == ["Again", "Hello"]

    await until(fresh, what="the page without the old entry", within=5)


async def test_who_is_told_by_address_finds_it_among_the_own_notifications(
    client: AsyncClient, query: Query
) -> None:
    user_id = await a_user(client, "ada@example.com")

    known = await client.post("/v1/notifications", json={"email": "Ada@Example.COM", **HELLO})
    stranger = await client.post("/v1/notifications", json={"email": "eve@example.com", **HELLO})

    assert (known.json()["user_id"], stranger.json()["user_id"]) == (user_id, None)
    assert await subjects(client, user_id) == ["Hello"]
    assert len(await the_audit(query, 2)) == 2


async def test_notifications_are_listed_newest_first_page_by_page(client: AsyncClient) -> None:
    user_id = await a_user(client)
    for subject in ("one", "two", "three"):
        await client.post("/v1/notifications", json={"user_id": user_id, "subject": subject, "text": "x"})
    path = f"/v1/users/{user_id}/notifications"

    first = (await client.get(path, params={"limit": "2"})).json()
    rest = (await client.get(path, params={"limit": "2", "cursor": first["next"]})).json()

    assert [item["subject"] for item in first["items"] + rest["items"]] == ["three", "two", "one"]
    assert rest["next"] is None
    for unknown in (new_id(), "no-uuid"):
        assert (await client.get(f"/v1/users/{unknown}/notifications")).status_code == 404


async def test_what_cannot_be_told_is_refused_and_leaves_nothing(client: AsyncClient, query: Query) -> None:
    user_id = await a_user(client)
    refusals: list[tuple[dict[str, object], str]] = [
        (HELLO, "#"),
        ({**HELLO, "user_id": user_id, "email": "a@b.test"}, "#"),
        ({**HELLO, "user_id": new_id()}, "#/user_id"),
        ({**HELLO, "email": "nobody"}, "#/email"),
        ({**HELLO, "email": "ü<x>@b.test"}, "#/email"),
        ({**HELLO, "user_id": user_id, "subject": "a\nBcc: b@c.test"}, "#/subject"),
        ({**HELLO, "user_id": user_id, "text": ""}, "#/text"),
        ({"user_id": user_id, "text": "x"}, "#/subject"),
    ]

    for body, pointer in refusals:
        answer = await client.post("/v1/notifications", json=body)

        problem = answer.json()
        assert (answer.status_code, [one["pointer"] for one in problem["errors"]]) == (422, [pointer]), body
    assert not await query("SELECT FROM gateway.audit")
    assert not await query("SELECT FROM gateway.events WHERE type = 'email.requested'")


async def test_a_repeated_request_with_a_key_is_told_and_noted_once(
    client: AsyncClient, query: Query
) -> None:
    user_id = await a_user(client)
    body, key = {"user_id": user_id, **HELLO}, {"Idempotency-Key": "told-1"}

    first = await client.post("/v1/notifications", json=body, headers=key)
    await the_audit(query, 1)
    second = await client.post("/v1/notifications", json=body, headers=key)

    assert second.content == first.content
    await client.post("/v1/notifications", json=body)  # its line comes after any of the repeated request
    assert len(await the_audit(query, 2)) == 2


async def test_tasks_run_after_an_answer_that_was_waited_for_too(client: AsyncClient, query: Query) -> None:
    user_id = await a_user(client)

    answer = await client.post(
        "/v1/notifications", json={"user_id": user_id, **HELLO}, headers={"Prefer": "wait=1"}
    )

    assert answer.status_code == 202
    assert len(await the_audit(query, 1)) == 1


async def test_without_redis_users_are_told_and_lists_come_from_postgres(
    settings: GatewaySettings, query: Query
) -> None:
    nobody = Secret(f"redis://127.0.0.1:{free_port()}/0")
    async with served(settings.model_copy(update={"redis_url": nobody})) as client:
        user_id = await a_user(client)
        answer = await client.post("/v1/notifications", json={"user_id": user_id, **HELLO})

        assert answer.status_code == 202
        assert await subjects(client, user_id) == ["Hello"]
        assert len(await the_audit(query, 1)) == 1  # though the cache could not be dropped before it


async def test_a_line_that_postgres_does_not_take_is_nobodys_trouble(
    client: AsyncClient, query: Query
) -> None:
    user_id = await a_user(client)
    ours = sha256(b"all-of-it").hexdigest()[:12]
    await query(f"ALTER TABLE gateway.audit ADD CHECK (actor <> '{ours}')")
    body = {"user_id": user_id, **HELLO}

    lost = await client.post("/v1/notifications", json=body)
    other = await client.post(
        "/v1/notifications", json=body, headers={"Authorization": "Bearer only-publish"}
    )

    assert (lost.status_code, other.status_code) == (202, 202)
    assert [line["target"] for line in await the_audit(query, 1)] == [other.json()["id"]]
