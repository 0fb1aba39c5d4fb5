import logging
from hashlib import sha256

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from gateway.door.keys import ApiKeys, Scope, needs, refuse_open_routes
from gateway.settings import GatewaySettings
from shared.errors import SettingsError
from tests.gateway.door.conftest import served

NONE = {"authorization": ""}


async def test_without_a_key_nothing_under_v1_is_open(client: AsyncClient) -> None:
    del client.headers["authorization"]

    for path in ("/v1/users", "/v1/users/1", "/v1/nothing", "/v1/events"):
        answer = await client.post(path, content=b"no JSON")
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/missing-key")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "given", ["Bearer nobody", "Bearer", "Basic YTpi", "Bearer all-of-it more", "all-of-it"]
)
async def test_a_key_that_is_not_known_is_refused(client: AsyncClient, given: str) -> None:
    answer = await client.get("/v1/users/1", headers={"authorization": given})

    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/wrong-key")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_two_keys_at_once_are_refused(client: AsyncClient) -> None:
    headers = [("authorization", "Bearer all-of-it"), ("authorization", "Bearer only-read")]
    del client.headers["authorization"]

    answer = await client.get("/v1/users/1", headers=headers)

    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["api_key", "access_token", "Token"])
async def test_a_key_in_the_query_is_refused_even_beside_a_good_one(client: AsyncClient, name: str) -> None:
    answer = await client.get("/v1/users/1", params={name: "all-of-it"})

    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/key-in-query")
    assert "all-of-it" not in answer.text


async def test_a_key_without_the_scope_is_told_which_it_lacks(client: AsyncClient) -> None:
    writing = await client.post("/v1/users", content=b"{", headers={"authorization": "Bearer only-read"})
    reading = await client.get("/v1/users/1", headers={"authorization": "bearer only-publish"})

    assert (writing.status_code, writing.json()["scope"]) == (403, "publish")
    assert (reading.status_code, reading.json()["scope"]) == (403, "read")
    assert 'scope="read"' in reading.headers["www-authenticate"]


async def test_health_and_documents_are_open(client: AsyncClient) -> None:
    del client.headers["authorization"]

    for path in ("/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/problems"):
        assert (await client.get(path)).status_code == 200, path


async def test_with_auth_off_everybody_may_do_everything(settings: GatewaySettings) -> None:
    async with served(settings.model_copy(update={"api_auth": "off"})) as client:
        del client.headers["authorization"]
        answer = await client.post("/v1/users", json={"name": "Ada", "email": "ada@example.com"})

    assert answer.status_code == 201


def test_keys_are_kept_as_hashes_only() -> None:
    digest = sha256(b"second").hexdigest()

    keys = ApiKeys.parse(f"first=publish+read, sha256:{digest}=operate,with=equals==admin")

    first, second, third = (keys.find(key) for key in (b"first", b"second", b"with=equals="))
    assert first
    assert (first.may(Scope.READ), first.may(Scope.OPERATE)) == (True, False)
    assert second
    assert (second.may(Scope.OPERATE), second.may(Scope.READ)) == (True, False)
    assert third
    assert all(third.may(scope) for scope in Scope)
    assert keys.find(b"third") is None
    assert "first" not in repr(keys) + repr(first) + repr(vars(keys))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "API_KEYS is empty"),
        ("secret", "entry 1 must be <key>=<scope>"),
        ("a=read,secret=write", "entry 2 has an unknown scope"),
        ("sha256:abc=read", "64 hexadecimal digits"),
    ],
)
def test_wrong_keys_stop_the_start_and_are_not_repeated(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("API_KEYS", value)

    with pytest.raises(SettingsError, match=said) as refused:
        GatewaySettings.load()

    assert "secret" not in str(refused.value)


def test_a_route_that_asks_for_no_scope_stops_the_start() -> None:
    app = FastAPI()

    @app.get("/v1/closed", dependencies=[needs(Scope.READ)])
    async def closed() -> None: ...

    @app.get("/v1/open")
    async def open_() -> None: ...

    with pytest.raises(ValueError, match="GET /v1/open asks for no scope"):
        refuse_open_routes(app)


async def test_no_key_and_no_address_gets_into_the_log(
    client: AsyncClient, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    await client.post("/v1/users", json={"name": "Canary Bird", "email": "canary@example.com"})
    await client.post("/v1/users", json={"name": "Canary Bird", "email": "canary@example"})
    await client.get("/v1/users/1", headers={"authorization": "Bearer canary-key"})

    logged = capsys.readouterr().out + caplog.text
    assert "http.request" in logged
    assert "anary" not in logged
    assert "all-of-it" not in logged
