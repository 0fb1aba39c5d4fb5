"""Each fault is made real on a real server, and the doctor finds it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import nats
import pytest
from launching import Cli
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, StorageType, StreamConfig
from redis.asyncio import Redis

from gateway.door.keys import ApiKeys
from gateway.settings import GatewaySettings
from launcher.doctor import (
    backlogs,
    clocks,
    consumers,
    disk,
    nats_keeps,
    permissions,
    postgres_keeps,
    readiness,
    redis_keeps,
    tables,
    versions,
)
from launcher.doctor.addresses import Addresses
from launcher.doctor.findings import Finding, Level
from launcher.doctor.patient import Patient, visited
from launcher.servers import NatsServer, RedisServer
from shared.bus.jetstream import make_consumer, make_stream
from shared.jobs import HandlerRecord, WorkerRecord, keys
from shared.settings import Secret
from tests.conftest import Servers
from tests.gateway.door.conftest import served

NOWHERE = "127.0.0.1:1"
HANDLER = HandlerRecord(
    name="email.send",
    service="email",
    event_type="email.requested",
    max_attempts=3,
    concurrency=1,
    time_limit_s=30,
    version="0.1.0",
    description="",
    registered_at="2026-01-01T00:00:00Z",
)
STREAM = "events:email.requested"

Examination = Callable[[Patient], Awaitable[list[Finding]]]


class GuardedNats(NatsServer):
    """A NATS with a login that may not publish events, and one that may all."""

    def _config(self) -> str:
        return (
            super()._config()
            + """
authorization { users: [
  { user: all, password: secret },
  { user: reader, password: secret, permissions: { publish: "$JS.API.>", subscribe: "_INBOX.>" } },
] }
"""
        )

    def url_of(self, user: str) -> str:
        return self.url.replace("//", f"//{user}:secret@")


@pytest.fixture(scope="module")
def own_redis(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis whose settings may be spoilt."""
    server = RedisServer(tmp_path_factory.mktemp("doctor") / "redis")
    servers.background.run(server.start())
    yield server.url
    servers.background.run(server.stop())


@pytest.fixture(scope="module")
def own_nats(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedNats]:
    """A NATS that syncs by its defaults."""
    server = GuardedNats(tmp_path_factory.mktemp("doctor") / "nats", durable=False)
    servers.background.run(server.start())
    yield server
    servers.background.run(server.stop())


@pytest.fixture
def empty_redis(servers: Servers, own_redis: str) -> str:
    async def empty() -> None:
        async with Redis.from_url(own_redis) as client:
            await client.flushall()

    servers.background.run(empty())
    return own_redis


@pytest.fixture
async def redis(empty_redis: str) -> AsyncIterator[Any]:
    client: Any = Redis.from_url(empty_redis)
    yield client
    await client.aclose()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def jetstream(own_nats: GuardedNats) -> AsyncIterator[Any]:
    client = await nats.connect(own_nats.url_of("all"))
    yield client.jetstream()
    await client.jetstream().delete_stream("EVENTS")
    await client.close()


async def found(examine: Examination, **addresses: Any) -> list[Finding]:
    async with visited(Addresses(**addresses)) as (patient, _):
        return await examine(patient)


def told(findings: list[Finding], level: Level) -> str:
    """What is said at the level; what is wrong says why it matters and what to do, too."""
    chosen = [finding for finding in findings if finding.level is level]
    assert all(finding.why and finding.do for finding in findings if finding.level is not Level.OK)
    return "\n".join(finding.what for finding in chosen)


async def test_a_server_that_does_not_answer_is_a_fault_and_one_without_an_address_a_warning() -> None:
    async with visited(Addresses(redis=f"redis://{NOWHERE}", nats=f"nats://{NOWHERE}")) as (
        patient,
        findings,
    ):
        assert patient.redis is patient.nats is None

    levels = {finding.about: finding.level for finding in findings}
    assert levels == {"redis": "fault", "nats": "fault", "postgres": "warning", "gateway": "warning"}
    assert "DATABASE_URL is not set" in told(findings, Level.WARNING)


async def test_a_redis_that_keeps_nothing_is_a_fault(own_redis: str, redis: Any) -> None:
    whole = await found(redis_keeps.examine, redis=own_redis)
    await redis.config_set("appendfsync", "everysec")
    lax = await found(redis_keeps.examine, redis=own_redis)
    await redis.config_set("appendonly", "no")
    nothing = await found(redis_keeps.examine, redis=own_redis)
    await redis.config_set("appendonly", "yes")
    await redis.config_set("appendfsync", "always")

    assert {finding.level for finding in whole} == {"ok"}
    assert told(lax, Level.WARNING) == "appendfsync is everysec"
    assert told(nothing, Level.FAULT) == "appendonly is no: nothing is written to a log"


async def test_a_redis_that_throws_jobs_away_is_a_fault_once_its_memory_has_a_limit(
    own_redis: str, redis: Any
) -> None:
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    unlimited = await found(redis_keeps.examine, redis=own_redis)
    await redis.config_set("maxmemory", "100mb")
    limited = await found(redis_keeps.examine, redis=own_redis)
    await redis.config_set("maxmemory", "0")
    await redis.config_set("maxmemory-policy", "noeviction")

    assert told(unlimited, Level.WARNING) == "maxmemory-policy is allkeys-lru"
    assert told(limited, Level.FAULT) == "maxmemory-policy is allkeys-lru"


async def test_a_stream_that_forgets_is_a_fault(own_nats: GuardedNats, jetstream: Any) -> None:
    await jetstream.add_stream(
        StreamConfig(
            name="EVENTS",
            subjects=["events.>"],
            storage=StorageType.MEMORY,
            discard=DiscardPolicy.OLD,
            max_age=60,
        )
    )

    findings = await found(nats_keeps.examine, nats=own_nats.url_of("all"), nats_monitor=own_nats.monitor_url)

    said = told(findings, Level.FAULT)
    assert "is in memory" in said
    assert "drops its oldest messages" in said
    assert "forgets messages after 60 s" in said
    assert "sync_interval is 120 s" in told(findings, Level.WARNING)


async def test_a_stream_of_ours_is_fine_and_a_missing_one_a_warning(
    own_nats: GuardedNats, jetstream: Any
) -> None:
    missing = await found(nats_keeps.examine, nats=own_nats.url_of("all"))
    await make_stream(jetstream, window=timedelta(minutes=2))
    ours = await found(nats_keeps.examine, nats=own_nats.url_of("all"))

    assert "there is no stream EVENTS" in told(missing, Level.WARNING)
    assert told(ours, Level.OK) == "EVENTS is on disk and refuses what it cannot hold"
    assert "NATS_MONITOR_URL" in told(ours, Level.WARNING)


async def test_a_postgres_that_does_not_wait_for_its_disk_is_a_fault(
    database: asyncpg.Connection[asyncpg.Record], database_url: str
) -> None:
    name = database_url.rpartition("/")[2]
    await database.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")

    findings = await found(postgres_keeps.examine, postgres=database_url)

    assert "synchronous_commit is off" in told(findings, Level.FAULT)


@pytest.mark.parametrize(
    ("ahead_s", "level"), [(0, Level.OK), (5, Level.WARNING), (-5, Level.WARNING), (3600, Level.FAULT)]
)
async def test_clocks_that_differ_are_told(
    own_redis: str, database_url: str, ahead_s: float, level: Level
) -> None:
    async with visited(Addresses(redis=own_redis, postgres=database_url)) as (patient, _):
        findings = await clocks.examine(replace(patient, now=lambda: time.time() - ahead_s))

    assert [(finding.about, finding.level) for finding in findings] == [("redis", level), ("postgres", level)]


async def test_a_handler_without_its_group_is_a_fault(own_redis: str, redis: Any) -> None:
    silent = await found(consumers.examine, redis=own_redis)
    await redis.hset(keys.HANDLERS, HANDLER.name, msgspec.json.encode(HANDLER))
    deaf = await found(consumers.examine, redis=own_redis)
    await redis.xgroup_create(keys.queue(HANDLER.name), HANDLER.name, id="0", mkstream=True)
    await redis.xgroup_create(STREAM, HANDLER.name, id="0", mkstream=True)
    whole = await found(consumers.examine, redis=own_redis)

    assert told(silent, Level.WARNING) == "none has announced itself"
    assert told(deaf, Level.FAULT).splitlines() == [
        "email.send has no group on queue:{email.send}",
        f"email.send has no group on {STREAM}",
    ]
    assert told(whole, Level.OK) == "all 1 have their groups and consumers"


async def test_a_handler_without_its_consumer_on_nats_is_a_fault(
    own_redis: str, redis: Any, own_nats: GuardedNats, jetstream: Any
) -> None:
    where = {"redis": own_redis, "nats": own_nats.url_of("all")}
    await redis.hset(keys.HANDLERS, HANDLER.name, msgspec.json.encode(HANDLER))
    await redis.xgroup_create(keys.queue(HANDLER.name), HANDLER.name, id="0", mkstream=True)
    await make_stream(jetstream, window=timedelta(minutes=2))

    missing = await found(consumers.examine, **where)
    await make_consumer(jetstream, HANDLER.name, HANDLER.event_type, lease=timedelta(seconds=30))
    nats_alone = await found(consumers.examine, **where)
    both = await found(consumers.examine, **where, buses=frozenset({"redis", "nats"}))
    await jetstream.delete_consumer("EVENTS", "email_send")
    await jetstream.add_consumer(
        "EVENTS",
        ConsumerConfig(
            durable_name="email_send",
            filter_subject="events.email.requested",
            ack_policy=AckPolicy.EXPLICIT,
            max_deliver=3,
        ),
    )
    foreign = await found(consumers.examine, **where)

    assert "email.send has no consumer email_send on NATS" in told(missing, Level.FAULT)
    assert {finding.level for finding in nats_alone} == {"ok"}
    assert told(both, Level.FAULT) == f"email.send has no group on {STREAM}"
    assert "gives up after 3 deliveries" in told(foreign, Level.FAULT)


async def test_a_login_that_may_not_add_to_streams_is_a_fault(own_redis: str, redis: Any) -> None:
    await redis.execute_command("ACL", "SETUSER", "email", "on", ">secret", "~*", "&*", "+@all", "-xadd")
    await redis.execute_command(
        "ACL", "SETUSER", "inventory", "on", ">secret", "~*", "&*", "+@all", "-@admin", "-@dangerous", "+info"
    )

    seen_by_all = await found(permissions.examine, redis=own_redis)
    seen_by_itself = await found(permissions.examine, redis=own_redis.replace("//", "//email:secret@"))
    as_others = await found(permissions.examine, redis=own_redis.replace("//", "//inventory:secret@"))
    await redis.execute_command("ACL", "DELUSER", "email", "inventory")

    assert told(seen_by_all, Level.FAULT) == "email may not: XADD"
    assert told(seen_by_itself, Level.FAULT) == "email may not: XADD"
    assert told(as_others, Level.OK) == "may be worked with as inventory"
    assert await redis.dbsize() == 0


async def test_a_login_that_may_not_publish_is_a_fault_and_nothing_is_published(
    own_nats: GuardedNats, jetstream: Any
) -> None:
    await make_stream(jetstream, window=timedelta(minutes=2))

    reader = await found(permissions.examine, nats=own_nats.url_of("reader"))
    all_ = await found(permissions.examine, nats=own_nats.url_of("all"))

    assert told(reader, Level.FAULT) == "this login may not publish to events.>"
    assert told(all_, Level.OK) == "events.> may be published to"
    assert (await jetstream.stream_info("EVENTS")).state.last_seq == 0


async def test_a_table_that_its_service_may_not_write_is_a_fault(
    database: asyncpg.Connection[asyncpg.Record], database_url: str
) -> None:
    await database.execute("REVOKE INSERT ON gateway.events FROM trunkline_gateway")

    findings = await found(permissions.examine, postgres=database_url)

    assert told(findings, Level.FAULT) == "trunkline_gateway may not read and write events"


async def test_work_without_workers_is_a_fault_and_old_work_a_warning(own_redis: str, redis: Any) -> None:
    await redis.hset(keys.HANDLERS, HANDLER.name, msgspec.json.encode(HANDLER))
    await redis.xgroup_create(STREAM, HANDLER.name, id="0", mkstream=True)
    idle = await found(backlogs.examine, redis=own_redis)
    await redis.xadd(STREAM, {"data": "{}"}, id=f"{round((time.time() - 120) * 1000)}-0")
    alone = await found(backlogs.examine, redis=own_redis)
    worker = WorkerRecord(
        id="w1", service="email", version="0.1.0", handlers=["email.send"], host="h", pid=1, started_at=""
    )
    await redis.set(keys.worker("w1"), msgspec.json.encode(worker))
    await redis.zadd(keys.WORKERS, {"w1": (time.time() + 30) * 1000})
    late = await found(backlogs.examine, redis=own_redis)
    await redis.hset(keys.control(HANDLER.name), "paused", "1")
    paused = await found(backlogs.examine, redis=own_redis)

    assert {finding.level for finding in idle} == {"ok"}
    assert "1 to do" in told(alone, Level.FAULT)
    assert "no worker is alive" in told(alone, Level.FAULT)
    assert "the oldest for 12" in told(late, Level.WARNING)
    assert "it is paused" in told(paused, Level.WARNING)


async def test_missing_migrations_are_a_fault_and_newer_ones_a_warning(
    database: asyncpg.Connection[asyncpg.Record], database_url: str
) -> None:
    whole = await found(tables.examine, postgres=database_url)
    await database.execute("UPDATE gateway.alembic_version SET version_num = 'gateway_0001'")
    await database.execute("DROP SCHEMA report CASCADE")
    await database.execute("UPDATE email.alembic_version SET version_num = 'email_9999'")

    findings = await found(tables.examine, postgres=database_url)

    assert {finding.level for finding in whole} == {"ok"}
    assert "gateway: migrations are missing; gateway_0001 is applied" in told(findings, Level.FAULT)
    assert "report: migrations are missing; nothing is applied" in told(findings, Level.FAULT)
    assert "email: the database is at email_9999" in told(findings, Level.WARNING)


async def test_workers_of_another_version_are_told(own_redis: str, redis: Any) -> None:
    worker = WorkerRecord(
        id="w1", service="email", version="0.0.1", handlers=[], host="h", pid=1, started_at=""
    )
    await redis.set(keys.worker("w1"), msgspec.json.encode(worker))
    await redis.zadd(keys.WORKERS, {"w1": (datetime.now(UTC).timestamp() + 30) * 1000})

    findings = await found(versions.examine, redis=own_redis)

    assert "workers run another version: email 0.0.1" in told(findings, Level.WARNING)


@pytest.mark.parametrize(
    ("about", "version", "level"),
    [
        ("redis", "6.2.14", Level.FAULT),
        ("redis", "7.4.1", Level.WARNING),
        ("redis", "8.2.3", Level.OK),
        ("nats", "2.9.25", Level.FAULT),
        ("nats", "2.10.0", Level.WARNING),
        ("nats", "2.15.1", Level.OK),
        ("postgres", "13.4 (Debian 13.4-1)", Level.FAULT),
        ("postgres", "18beta1", Level.OK),
    ],
)
def test_old_servers_are_told(about: str, version: str, level: Level) -> None:
    assert versions.judged(about, version).level is level


@pytest.mark.parametrize(("free_gb", "level"), [(4, Level.FAULT), (15, Level.WARNING), (30, Level.OK)])
def test_a_disk_that_fills_up_is_told(free_gb: int, level: Level) -> None:
    assert disk.judged(free_gb * 10**9, 100 * 10**9).level is level


async def test_the_disk_of_the_data_folder_is_looked_at(tmp_path: Path) -> None:
    [finding] = await found(disk.examine, data=tmp_path)

    assert "are free" in finding.what


async def test_a_gateway_that_is_not_ready_says_why(servers: Servers) -> None:
    settings = GatewaySettings(
        redis_url=Secret(servers.redis.url),
        database_url=Secret(f"postgresql://{NOWHERE}/none"),
        api_keys=ApiKeys.parse("all-of-it=admin"),
        buses="redis",
        handles_events=False,
    )
    async with served(settings) as client:
        findings = await found(readiness.examine, gateway=str(client.base_url))

    assert "postgres" in told(findings, Level.FAULT)


def test_the_command_tells_a_program_and_ends_with_1_for_a_fault(
    make_cli: Callable[..., Cli], empty_redis: str
) -> None:
    cli = make_cli(REDIS_URL=empty_redis, NATS_URL=f"nats://{NOWHERE}", DATABASE_URL="", BUSES="redis+nats")

    code, printed, _ = cli.call("doctor", "--json")

    report = json.loads(printed)
    assert (code, report["level"]) == (1, "fault")
    assert report["counts"]["fault"] == sum(one["level"] == "fault" for one in report["findings"])
    assert {"about": "redis", "level": "ok", "what": "answers", "why": "", "do": ""} in report["findings"]


def test_the_command_ends_with_0_for_warnings_alone(make_cli: Callable[..., Cli], empty_redis: str) -> None:
    code, printed, _ = make_cli(REDIS_URL=empty_redis, BUSES="redis").call("doctor")

    assert code == 0
    assert "warning  postgres" in printed
    assert "-> Set DATABASE_URL" in printed


def test_without_any_address_the_command_says_what_to_set(make_cli: Callable[..., Cli]) -> None:
    code, _, said = make_cli().call("doctor")

    assert code == 1
    assert said.count("\n") == 1
    assert "set REDIS_URL, NATS_URL, DATABASE_URL and GATEWAY_URL" in said
