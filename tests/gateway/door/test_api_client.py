"""The client of the REST API, against the gateway itself: what comes back, and what is raised."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient

from shared.api import GatewayApi, Refusal, Unreachable, path_of

ADA = {"name": "Ada", "email": "ada@example.com"}


@pytest.fixture
async def api(client: AsyncClient) -> AsyncIterator[GatewayApi]:
    async with GatewayApi(str(client.base_url), "all-of-it") as api:
        yield api


async def test_json_goes_out_and_comes_back(api: GatewayApi) -> None:
    made = await api.post("/v1/users", ADA)

    shown = await api.get(path_of("users", made.body["id"]))

    assert made.status == 201
    assert made.headers["location"] == path_of("users", made.body["id"])
    assert shown["email"] == ADA["email"]


async def test_a_refusal_says_what_the_gateway_said(api: GatewayApi) -> None:
    await api.post("/v1/users", ADA)

    with pytest.raises(Refusal) as refused:
        await api.post("/v1/users", ADA)

    assert refused.value.status == 409
    assert refused.value.detail in str(refused.value)
    assert refused.value.problem["type"]


async def test_another_key_has_other_rights(api: GatewayApi) -> None:
    reader = api.with_key("only-read")

    assert (await reader.get("/v1/jobs", {"limit": 1, "state": None}))["items"] == []
    with pytest.raises(Refusal, match="403"):
        await reader.post(path_of("jobs", "a.b:c", "cancel"))


async def test_ids_that_look_like_paths_stay_one_part_of_the_path(api: GatewayApi) -> None:
    with pytest.raises(Refusal) as refused:
        await api.get(path_of("jobs", "email.send:a/../b?c"))

    assert refused.value.status == 404


async def test_nobody_there_is_told_in_one_line() -> None:
    async with GatewayApi("http://127.0.0.1:1") as api:
        with pytest.raises(Unreachable, match=r"no answer from the gateway at http://127\.0\.0\.1:1"):
            await api.get("/v1/jobs")


async def test_a_stream_without_a_sign_of_life_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.api.SILENCE_LIMIT_S", 0.1)
    is_over = asyncio.Event()

    async def say_one_thing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: state\ndata: {"n": 1}\n\n'
        )
        await is_over.wait()
        writer.close()

    server = await asyncio.start_server(say_one_thing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, GatewayApi(f"http://127.0.0.1:{port}") as api:

        async def follow() -> None:
            async with api.stream("/v1/jobs/a.b:c/stream") as events:
                assert (await anext(events)).data == {"n": 1}
                await anext(events)

        with pytest.raises(Unreachable, match=r"longer than 0\.1 s"):
            await follow()
        is_over.set()
