"""Stored keys over HTTP: one database and two gateways for all of them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

import asyncpg
import pytest
import pytest_asyncio
from httpx import AsyncClient, Response

from gateway.door.keys import ApiKeys
from gateway.keys.ring import KeyRing
from gateway.settings import GatewaySettings
from shared.db import connect
from shared.settings import Secret
from tests.conftest import Servers, own_database
from tests.gateway.door.conftest import KEYS, served
from tests.until import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Doors(NamedTuple):
    one: AsyncClient
    other: AsyncClient
    database: asyncpg.Connection
    url: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(servers: Servers, migrated: str) -> AsyncIterator[Doors]:
    with own_database(servers, migrated) as url:
        settings = GatewaySettings(
            redis_url=Secret(servers.redis.url),
            database_url=Secret(url),
            api_keys=ApiKeys.parse(KEYS),
            buses="redis",
            handles_events=False,
        )
        async with served(settings) as one, served(settings) as other:
            database = await asyncpg.connect(url)
            yield Doors(one, other, database, url)
            await database.close()


async def made(doors: Doors, name: str, *scopes: str, expires_at: datetime | None = None) -> Response:
    body = {"name": name, "scopes": scopes or ["read"]}
    if expires_at is not None:
        body["expires_at"] = expires_at.isoformat()
    return await doors.one.post("/v1/keys", json=body)


async def asked(client: AsyncClient, key: str, path: str = "/v1/me") -> Response:
    return await client.get(path, headers={"authorization": f"Bearer {key}"})


async def test_a_key_is_shown_once_and_opens_every_gateway_at_once(doors: Doors) -> None:
    answer = await made(doors, "shop-backend", "publish", "read")
    key = answer.json()["key"]
    there, here = await asked(doors.other, key), await asked(doors.one, key)
    shown = await doors.one.get(answer.headers["location"])

    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert (key[:3], len(key)) == ("tl_", 46)
    me = {
        "id": answer.json()["id"],
        "name": "shop-backend",
        "scopes": ["publish", "read"],
        "source": "stored",
    }
    assert there.json() == here.json() == me
    assert {name: shown.json()[name] for name in me} == me
    assert "key" not in shown.json()
    rows = await doors.database.fetch("SELECT api_keys::text AS row FROM gateway.api_keys")
    assert all(key not in row["row"] for row in rows)


async def test_a_key_may_do_what_its_scopes_say_and_no_more(doors: Doors) -> None:
    key = (await made(doors, "reader", "read")).json()["key"]

    reading = await asked(doors.one, key, "/v1/jobs")
    making = await doors.one.post(
        "/v1/keys", json={"name": "mine", "scopes": ["admin"]}, headers={"authorization": f"Bearer {key}"}
    )

    assert reading.status_code == 200
    assert (making.status_code, making.json()["scope"]) == (403, "admin")


async def test_a_revoked_key_opens_no_gateway_any_more(doors: Doors) -> None:
    answer = (await made(doors, "leaver")).json()
    assert (await asked(doors.other, answer["key"])).status_code == 200

    first = await doors.one.delete(f"/v1/keys/{answer['id']}")
    again = await doors.one.delete(f"/v1/keys/{answer['id']}")
    here = await asked(doors.one, answer["key"])

    async def is_refused_there() -> bool:
        return (await asked(doors.other, answer["key"])).status_code == 401

    await until(is_refused_there)
    assert (first.status_code, again.status_code, here.status_code) == (204, 204, 401)
    assert here.json()["detail"].startswith("the key was revoked at 20")
    assert (await made(doors, "leaver")).status_code == 201


async def test_an_expired_key_is_refused_and_told_so(doors: Doors) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    key = (await made(doors, "visitor", expires_at=soon)).json()["key"]

    async def is_refused() -> bool:
        return (await asked(doors.one, key)).status_code == 401

    await until(is_refused)
    for gateway in (doors.one, doors.other):
        assert (await asked(gateway, key)).json()["detail"].startswith("the key expired at 20")


async def test_a_name_is_taken_until_its_key_is_revoked(doors: Doors) -> None:
    await made(doors, "twice")

    answer = await made(doors, "twice")

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/key-name-taken")
    assert answer.json()["errors"][0]["pointer"] == "#/name"


async def test_a_key_of_the_setting_is_listed_and_not_revoked(doors: Doors) -> None:
    id_ = f"sha256:{sha256(b'only-read').hexdigest()[:12]}"

    shown = await doors.one.get(f"/v1/keys/{id_}")
    refused = await doors.one.delete(f"/v1/keys/{id_}")

    assert (shown.json()["name"], shown.json()["source"], shown.json()["scopes"]) == (
        id_,
        "setting",
        ["read"],
    )
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/key-of-setting")
    assert "API_KEYS" in refused.json()["detail"]


async def test_pages_name_each_key_once(doors: Doors) -> None:
    for number in range(3):
        await made(doors, f"page-{number}")
    everything = (await doors.one.get("/v1/keys", params={"limit": 200})).json()

    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = (await doors.one.get("/v1/keys", params=query)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]

    assert everything["next"] is None
    assert seen == [item["id"] for item in everything["items"]]
    assert [item["source"] for item in everything["items"][:4]] == ["setting"] * 3 + ["stored"]
    assert everything["items"][3]["name"] == "page-2"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": ["read"]}, "#/name"),
        ({"name": "", "scopes": ["read"]}, "#/name"),
        ({"name": " a", "scopes": ["read"]}, "#/name"),
        ({"name": "a\0", "scopes": ["read"]}, "#/name"),
        ({"name": "sha256:abc", "scopes": ["read"]}, "#/name"),
        ({"name": 7, "scopes": ["read"]}, "#/name"),
        ({"name": "a" * 101, "scopes": ["read"]}, "#/name"),
        ({"name": "a", "scopes": []}, "#/scopes"),
        ({"name": "a", "scopes": ["write"]}, "#/scopes/0"),
        ({"name": "a", "scopes": ["read"], "expires_at": "tomorrow"}, "#/expires_at"),
        ({"name": "a", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "#/expires_at"),
        ({"name": "a", "scopes": ["read"], "key": "mine"}, "#/key"),
    ],
)
async def test_a_bad_key_is_refused_with_the_field(
    doors: Doors, body: dict[str, object], pointer: str
) -> None:
    answer = await doors.one.post("/v1/keys", json=body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_what_is_not_there_is_not_found(doors: Doors) -> None:
    gone = "0192f000-0000-7000-8000-000000000000"
    for id_ in ("nothing", "sha256:0", gone):
        assert (await doors.one.get(f"/v1/keys/{id_}")).status_code == 404
        assert (await doors.one.delete(f"/v1/keys/{id_}")).status_code == 404
    assert (await doors.one.get("/v1/keys", params={"cursor": "x"})).status_code == 422


async def test_no_kept_answer_holds_a_key(doors: Doors) -> None:
    answer = await doors.one.post(
        "/v1/keys", json={"name": "kept", "scopes": ["read"]}, headers={"idempotency-key": "again"}
    )

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/idempotency-key-not-taken")
    assert await doors.database.fetchval("SELECT count(*) FROM gateway.idempotency_keys") == 0
    assert await doors.database.fetchval("SELECT count(*) FROM gateway.api_keys WHERE name = 'kept'") == 0


async def test_who_made_and_revoked_a_key_is_known(
    doors: Doors, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    boss = (await made(doors, "boss", "admin")).json()
    as_boss = {"authorization": f"Bearer {boss['key']}"}

    answer = await doors.one.post("/v1/keys", json={"name": "hers", "scopes": ["read"]}, headers=as_boss)
    await doors.one.delete(f"/v1/keys/{answer.json()['id']}", headers=as_boss)

    lines = await doors.database.fetch(
        "SELECT actor, action FROM gateway.audit WHERE target = $1 ORDER BY id", answer.json()["id"]
    )
    actor = sha256(boss["key"].encode()).hexdigest()[:12]
    assert [tuple(line) for line in lines] == [(actor, "key.created"), (actor, "key.revoked")]
    assert answer.json()["created_by"] == "boss"
    logged = capsys.readouterr().out + caplog.text
    assert "key.revoked" in logged
    assert boss["key"] not in logged
    assert answer.json()["key"] not in logged


async def test_the_last_use_of_a_key_is_noted(doors: Doors) -> None:
    answer = (await made(doors, "user")).json()
    engine = connect(Secret(doors.url), service="gateway")

    async with KeyRing(ApiKeys(), engine) as ring:
        before = ring.find(answer["key"].encode())
    await engine.dispose()

    assert before is not None
    shown = (await doors.one.get(f"/v1/keys/{answer['id']}")).json()
    assert datetime.fromisoformat(shown["last_used_at"]) <= datetime.now(UTC)


async def test_without_postgres_the_keys_known_last_still_open(doors: Doors, servers: Servers) -> None:
    answer = (await made(doors, "survivor")).json()
    assert (await asked(doors.other, answer["key"])).status_code == 200

    await asyncio.to_thread(servers.background.run, servers.postgres.kill())
    try:
        known = await asked(doors.other, answer["key"])
        unknown = await asked(doors.other, "tl_nobody")
    finally:
        await asyncio.to_thread(servers.background.run, servers.postgres.start())

    assert known.status_code == 200
    assert (unknown.status_code, unknown.json()["type"]) == (503, "/problems/unavailable")
