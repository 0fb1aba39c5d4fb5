from __future__ import annotations

import smtplib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import asyncpg
import httpx
import nats
import pytest
from redis.asyncio import Redis
from standardwebhooks import Webhook

from launcher.errors import StartFailed
from launcher.probes import ask
from launcher.servers import NatsServer, PostgresServer, RedisServer, SmtpInbox, WarehouseReceiver


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def postgres_server(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    server = PostgresServer(tmp_path / "postgres")
    await server.start()
    yield server
    await server.delete()


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[SmtpInbox]:
    async with SmtpInbox(tmp_path / "mail") as server:
        yield server


async def test_redis_keeps_what_it_acknowledged_when_it_is_killed(redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url) as client:
        await client.xadd("events:order.created", {"data": "1"})

    await redis_server.kill()
    await redis_server.start()

    async with Redis.from_url(redis_server.url) as client:
        assert await client.xlen("events:order.created") == 1


async def test_redis_is_durable_and_refuses_what_nobody_needs(redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url) as client:
        found = await client.config_get("*")

    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "hash-max-listpack-value": "2048",
        "protected-mode": "yes",
        "enable-debug-command": "no",
        "bind": "127.0.0.1",
    }
    assert {name: found[name] for name in wanted} == wanted


async def test_a_redis_that_need_not_be_durable_syncs_once_a_second(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", durable=False) as server, Redis.from_url(server.url) as client:
        assert await client.config_get("appendfsync") == {"appendfsync": "everysec"}


async def test_nats_keeps_what_it_acknowledged_when_it_is_killed(nats_server: NatsServer) -> None:
    client = await nats.connect(nats_server.url)
    await client.jetstream().add_stream(name="EVENTS", subjects=["events.>"])
    await client.jetstream().publish("events.order.created", b"1")
    await client.close()

    await nats_server.kill()
    await nats_server.start()

    client = await nats.connect(nats_server.url)
    info = await client.jetstream().stream_info("EVENTS")
    await client.close()
    assert info.state.messages == 1


async def test_postgres_keeps_what_it_committed_when_it_is_killed(postgres_server: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres_server.url)
    await connection.execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)")
    await connection.close()

    await postgres_server.kill()
    await postgres_server.start()

    connection = await asyncpg.connect(postgres_server.url)
    kept = await connection.fetchval("SELECT count(*) FROM orders")
    durable = await connection.fetchval("SHOW fsync")
    await connection.close()
    assert (kept, durable) == (1, "on")


async def test_postgres_lets_nobody_in_without_the_password(postgres_server: PostgresServer) -> None:
    password = (postgres_server.data / "password").stat()

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_server.url, password="guessed")

    assert password.st_mode & 0o777 == 0o600


async def test_the_inbox_keeps_a_mail_with_its_envelope(inbox: SmtpInbox) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Grüße"
    mail.set_content("Hello\n")

    with smtplib.SMTP("127.0.0.1", inbox.port) as client:
        client.send_message(
            mail, from_addr="shop@example.org", to_addrs=["ann@example.org", "bob@example.org"]
        )

    (kept,) = inbox.messages()
    assert (kept["Subject"], kept.get_content()) == ("Grüße", "Hello\n")
    assert (kept["X-MailFrom"], kept["X-RcptTo"]) == ("shop@example.org", "ann@example.org, bob@example.org")


@pytest.mark.parametrize(("local_part", "code"), [("busy", 451), ("nobody.here", 550)])
async def test_the_inbox_refuses_whom_it_is_made_to_refuse(
    inbox: SmtpInbox, local_part: str, code: int
) -> None:
    with (
        smtplib.SMTP("127.0.0.1", inbox.port) as client,
        pytest.raises(smtplib.SMTPRecipientsRefused) as refused,
    ):
        client.sendmail("shop@example.org", f"{local_part}@example.org", "Subject: Hello\n\n")

    assert refused.value.recipients[f"{local_part}@example.org"][0] == code
    assert inbox.messages() == []


async def test_the_warehouse_keeps_what_is_signed_and_refuses_what_is_not(tmp_path: Path) -> None:
    secret = "whsec_" + "A" * 43 + "="
    now, body = datetime.now(UTC), '{"type":"inventory.reserved"}'
    headers = {"webhook-id": "event-1", "webhook-timestamp": str(int(now.timestamp()))}
    signatures = {
        "good": Webhook(secret).sign("event-1", now, body),
        "forged": Webhook("whsec_" + "B" * 43 + "=").sign("event-1", now, body),
        "odd": "v1,not base64",
        "none": "",
    }

    async with (
        WarehouseReceiver(tmp_path / "warehouse.jsonl", f"{secret},whsec_AAAA") as server,
        httpx.AsyncClient() as client,
    ):
        codes = {
            name: (
                await client.post(
                    server.url, content=body, headers=headers | {"webhook-signature": signature}
                )
            ).status_code
            for name, signature in signatures.items()
        }
        too_large = await ask(server.port, b"POST /hooks HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n")
        kept = server.deliveries()

    assert codes == {"good": 204, "forged": 401, "odd": 401, "none": 401}
    assert (too_large or b"").startswith(b"HTTP/1.1 413 ")
    assert [(one["id"], one["message"]) for one in kept] == [("event-1", {"type": "inventory.reserved"})]
    assert server.data.stat().st_mode & 0o777 == 0o600


async def test_a_server_whose_port_is_taken_says_by_whom(redis_server: RedisServer, tmp_path: Path) -> None:
    second = RedisServer(tmp_path / "second", redis_server.port)

    with pytest.raises(StartFailed, match=r"redis did not start: port \d+ is taken by redis-server"):
        await second.start()
