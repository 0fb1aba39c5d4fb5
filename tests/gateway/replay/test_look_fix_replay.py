"""The whole way of an operator: a handler fails, is mended, and what it left is run again."""

from datetime import timedelta

from httpx import AsyncClient

from gateway.settings import GatewaySettings
from shared.contracts import UserRegistered
from shared.jobs import Handlers, Retry
from shared.service import Service
from tests.gateway.replay.conftest import ended
from tests.until import until


async def test_what_died_of_a_defect_succeeds_after_the_fix_and_the_replay(
    client: AsyncClient, settings: GatewaySettings
) -> None:
    handlers, broken = Handlers("lab"), True
    greeted: list[str] = []

    @handlers.on(UserRegistered, retry=Retry(attempts=2, base=timedelta(milliseconds=20)))
    async def greet(event: UserRegistered) -> None:
        if broken:
            raise LookupError(f"no template for {event.name}")
        greeted.append(event.name)

    service = Service("lab", handlers, settings)
    await service.start()
    try:
        for name in ("Ada", "Grace", "Edsger"):
            user = {"name": name, "email": f"{name}@example.com"}
            assert (await client.post("/v1/users", json=user)).status_code == 201

        async def all_dead() -> bool:
            return len((await client.get("/v1/dead?handler=lab.greet")).json()["items"]) == 3

        await until(all_dead, within=30)
        filter_ = {"handler": "lab.greet", "text": "no template for Grace"}
        preview = (await client.post("/v1/dead/replay", json={"filter": filter_, "dry_run": True})).json()
        broken = False
        asked = await client.post("/v1/dead/replay", json={"filter": filter_})
        done = await ended(client, asked.headers["location"])

        async def greets() -> bool:
            return greeted == ["Grace"]

        await until(greets, within=30)
        job = (await client.get(f"/v1/jobs/{preview['sample'][0]}?wait=10")).json()

        async def two_are_left() -> bool:
            return len((await client.get("/v1/dead")).json()["items"]) == 2

        await until(two_are_left)
    finally:
        await service.stop()

    assert (preview["matched"], done["replayed"]) == (1, 1)
    assert (job["state"], job["attempt"], len(job["attempts"])) == ("succeeded", 1, 2)
