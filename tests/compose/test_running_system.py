"""The main job in containers, and what happens to them: needs a Docker engine; `make compose-test`."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient

from tests.compose.system import System, compose, docker, running
from tests.until import until

pytestmark = pytest.mark.timeout(900)  # the first test builds the images

REACHES_FOR_WHAT_IS_NOT_ITS_OWN = """
import asyncio, nats, os, redis, asyncpg
def secret(name): return open(os.environ[name + "_FILE"]).read().strip()
def tries(what):
    try: what()
    except redis.exceptions.NoPermissionError: print("refused")
    else: print("allowed")
client = redis.Redis.from_url(secret("REDIS_URL"))
for command in ("FLUSHALL", "KEYS *", "CONFIG GET maxmemory", "ACL LIST"):
    tries(lambda: client.execute_command(*command.split()))
async def rest():
    connection = await nats.connect(secret("NATS_URL"))
    try: await connection.jetstream(timeout=1).delete_stream("EVENTS")
    except Exception: print("refused")
    else: print("allowed")
    await connection.close()
    postgres = await asyncpg.connect(secret("DATABASE_URL"))
    for role in ("", "SET ROLE trunkline_gateway;", "SET ROLE trunkline_email;"):
        try: await postgres.execute(role + "SELECT count(*) FROM gateway.events")
        except asyncpg.InsufficientPrivilegeError: print("refused")
        else: print("allowed")
    await postgres.close()
asyncio.run(rest())
"""


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with running() as system:
        yield system


async def test_a_registered_user_gets_one_mail(system: System) -> None:
    address = some_address()

    async with system.client() as client:
        accepted = await client.post(
            "/v1/users", json={"name": "Ada", "email": address}, headers={"Prefer": "wait=20"}
        )

    assert accepted.status_code == 201, accepted.text
    assert [job["state"] for job in accepted.json()["jobs"] if job["handler"] == "email.send_welcome"] == [
        "succeeded"
    ]
    assert await system.mails(address) == 1


async def test_one_trace_follows_the_request_to_the_mail(system: System) -> None:
    monitor = (
        system.address("monitor", 8000)
        if "jaeger" not in system.services
        else system.address("jaeger", 16686)
    )
    async with system.client() as client:
        accepted = await client.post(
            "/v1/users", json={"name": "Ada", "email": some_address()}, headers={"Prefer": "wait=20"}
        )

        async def services() -> bool:
            found = await client.get(f"http://{monitor}/api/traces/{accepted.json()['trace_id']}")
            data = found.json()["data"] if found.status_code == 200 else []
            names = {process["serviceName"] for trace in data for process in trace["processes"].values()}
            return names >= {"gateway", "email"}

        await until(services, within=30, what="a trace of gateway and email")


async def test_a_scaled_service_shares_its_work_and_a_killed_replica_loses_none(system: System) -> None:
    replicas = system.scale("email", 4)

    async with system.client() as client:
        sent = await asyncio.gather(*(send_mail(client) for _ in range(200)))
        docker("kill", "--signal", "KILL", replicas[0])
        jobs = await asyncio.gather(*(ended(client, job_id) for job_id in sent))

    assert {job["state"] for job in jobs} == {"succeeded"}
    assert len({job["worker"] for job in jobs}) > 1


async def test_what_is_accepted_while_redis_is_paused_is_done_when_it_is_back(system: System) -> None:
    address = some_address()

    async with system.client() as client:
        compose("pause", "redis")
        try:
            accepted = await client.post("/v1/users", json={"name": "Ada", "email": address})
        finally:
            compose("unpause", "redis")
        assert accepted.status_code == 201, accepted.text

        async def mailed() -> bool:
            return await system.mails(address) == 1

        await until(mailed, within=60, what="the mail")


async def test_an_event_that_only_redis_holds_survives_its_death(system: System) -> None:
    address = some_address()
    event = json.dumps({"user_id": "7", "name": "Grace", "email": address})

    compose("stop", "email")
    system.redis("XADD", "events:user.registered", "*", "data", event)
    compose("kill", "redis")
    compose("up", "--detach", "--wait", "redis", "email")

    async def mailed() -> bool:
        return await system.mails(address) == 1

    await until(mailed, within=60, what="the mail")


@pytest.mark.parametrize("service", ["gateway", "email", "monitor"])
def test_a_container_has_no_root_and_nothing_to_write_to(system: System, service: str) -> None:
    assert system.execute(service, "id", "-u").strip() == "10001"
    system.execute(service, "touch", "/app/left-behind", expect=1)
    system.execute(service, "touch", "/tmp/scratch")


def test_a_service_is_refused_what_is_not_its_own(system: System) -> None:
    said = system.execute("email", "python", "-c", REACHES_FOR_WHAT_IS_NOT_ITS_OWN)

    assert said.split() == ["refused"] * 8


@pytest.mark.usefixtures("system")
def test_a_second_start_changes_nothing() -> None:
    before = compose("ps", "--quiet", "gateway", "redis", "nats", "postgres")

    compose("up", "--detach", "--wait", "gateway")

    assert compose("ps", "--quiet", "gateway", "redis", "nats", "postgres") == before
    assert "nothing to migrate" in compose("logs", "migrate")


async def send_mail(client: AsyncClient) -> str:
    """Ask for a mail; the id of its job."""
    mail = {"to": some_address(), "subject": "Hello", "text": "Hello."}
    accepted = await client.post("/v1/emails", json=mail)
    assert accepted.status_code == 202, accepted.text
    return str(accepted.json()["jobs"][0]["id"])


async def ended(client: AsyncClient, job_id: str) -> dict[str, Any]:
    """The job, once it is final."""

    async def final() -> dict[str, Any] | None:
        job = (await client.get(f"/v1/jobs/{job_id}", params={"wait": 10})).json()
        return job if job.get("state") in {"succeeded", "dead", "cancelled", "expired"} else None

    return await until(final, within=90, what=job_id)


def some_address() -> str:
    return f"{uuid4().hex}@example.com"
