"""A message to a receiver on a real socket: signed, bounded in time and size, never to a wrong address."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from inventory_service.egress import Egress
from inventory_service.signing import Message
from inventory_service.webhook import (
    AddressRefused,
    Endpoint,
    Resolve,
    WarehouseBusy,
    WarehouseGone,
    WarehouseRefused,
    WarehouseUnreachable,
    Webhook,
    retry_after,
)
from shared.contracts import InventoryReserved, StockLine
from shared.telemetry import Tracing
from tests.inventory_service.receiver import OK, receiving, status

SECRET = "whsec_" + "A" * 43 + "="
OTHER_SECRET = "whsec_" + "B" * 43 + "="
RESERVED = InventoryReserved(order_id="order-1", lines=[StockLine(sku="cup", quantity=3)])
MESSAGE = Message.of(RESERVED, event_id="event-1", said_at="2026-11-22T06:00:00Z")
LOOPBACK = Egress.parse("127.0.0.0/8")


@asynccontextmanager
async def webhook(url: str, resolve: Resolve | None = None, **options: Any) -> AsyncGenerator[Webhook]:
    usual: dict[str, Any] = {"secrets": (SECRET,), "egress": LOOPBACK, "whole": timedelta(seconds=5)}
    endpoint = Endpoint(url=httpx.URL(url), **{**usual, **options})
    async with Webhook(endpoint, tracing=Tracing(), resolve=resolve) as webhook:
        yield webhook


async def test_what_arrives_is_verified_by_the_library() -> None:
    async with receiving() as receiver, webhook(receiver.url) as hook:
        assert await hook.post(MESSAGE) == 200

    (request,) = receiver.requests
    assert request.line == "POST /hooks?token=1 HTTP/1.1"
    assert Verifier(SECRET).verify(request.body, request.headers) == {
        "type": "inventory.reserved",
        "timestamp": "2026-11-22T06:00:00Z",
        "data": {"order_id": "order-1", "lines": [{"sku": "cup", "quantity": 3}]},
    }
    assert request.headers["webhook-id"] == "event-1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["traceparent"].startswith("00-")
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(request.body + b" ", request.headers)


async def test_while_secrets_change_receivers_may_know_either() -> None:
    async with receiving() as receiver, webhook(receiver.url, secrets=(SECRET, OTHER_SECRET)) as hook:
        await hook.post(MESSAGE)

    for secret in (SECRET, OTHER_SECRET):
        assert Verifier(secret).verify(receiver.requests[0].body, receiver.requests[0].headers)


async def test_one_connection_serves_many_messages_and_no_cookie_is_kept() -> None:
    with_cookie = status(204, "set-cookie: session=1; Path=/")
    async with receiving(with_cookie) as receiver, webhook(receiver.url) as hook:
        assert [await hook.post(MESSAGE) for _ in range(3)] == [204] * 3

    assert receiver.connections == 1
    assert all("cookie" not in request.headers for request in receiver.requests)


async def test_who_does_not_answer_in_time_is_not_waited_for() -> None:
    async def silence(_: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def a_byte_now_and_then(writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nx-much: " + b"x" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    quick = timedelta(seconds=0.2)
    for answer in (silence, a_byte_now_and_then):
        async with receiving(answer) as receiver, webhook(receiver.url, whole=quick) as hook:
            with pytest.raises(WarehouseUnreachable, match=r"did not answer within 0\.2 s"):
                await hook.post(MESSAGE)


async def test_a_body_without_end_is_hung_up_on_and_does_not_change_the_answer() -> None:
    hung_up = asyncio.Event()

    async def without_end(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            hung_up.set()

    async with receiving(without_end) as receiver, webhook(receiver.url) as hook:
        assert await hook.post(MESSAGE) == 200
        async with asyncio.timeout(10):
            await hung_up.wait()


async def test_gone_is_told_from_busy_and_from_any_other_refusal() -> None:
    answers = (
        status(410),
        status(503, "retry-after: 120"),
        status(429, "retry-after: 7"),
        status(503),
        status(404),
    )
    async with receiving(*answers) as receiver, webhook(receiver.url) as hook:
        with pytest.raises(WarehouseGone, match="410"):
            await hook.post(MESSAGE)
        waits: list[timedelta] = []
        for _ in range(2):
            with pytest.raises(WarehouseBusy) as busy:
                await hook.post(MESSAGE)
            waits.append(busy.value.retry_after)
        for code in (503, 404):
            with pytest.raises(WarehouseRefused, match=f"warehouse answered {code}$") as refused:
                await hook.post(MESSAGE)
            assert not isinstance(refused.value, WarehouseBusy)

    assert waits == [timedelta(minutes=2), timedelta(seconds=7)]


async def test_a_redirect_to_the_clouds_metadata_is_not_followed() -> None:
    away = status(307, "location: http://169.254.169.254/latest/meta-data/")
    async with receiving(away) as receiver, webhook(receiver.url) as hook:
        with pytest.raises(WarehouseRefused, match="307: redirects are not followed"):
            await hook.post(MESSAGE)

    assert len(receiver.requests) == 1


async def test_nobody_there_is_told_without_the_path_which_may_be_a_secret() -> None:
    async with receiving() as receiver:
        url = receiver.url
    async with webhook(url) as hook:
        with pytest.raises(WarehouseUnreachable, match="no connection to the warehouse") as unreachable:
            await hook.post(MESSAGE)

    assert "token" not in str(unreachable.value)


async def test_a_name_is_looked_up_once_and_what_was_checked_is_what_is_called() -> None:
    """DNS rebinding: a second look-up would lead elsewhere."""
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    asked: list[tuple[str, int]] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return answers.pop(0)

    async with receiving() as receiver:
        url = f"http://warehouse.invalid:{receiver.port}/hooks"  # a name that no DNS knows
        async with webhook(url, rebinding) as hook:
            assert await hook.post(MESSAGE) == 200
            with pytest.raises(AddressRefused, match=r"warehouse\.invalid leads to 169\.254\.169\.254"):
                await hook.post(MESSAGE)

    assert asked == [("warehouse.invalid", receiver.port)] * 2, "once for each attempt"
    assert [request.headers["host"] for request in receiver.requests] == [asked[0][0] + f":{receiver.port}"]


async def test_of_several_addresses_only_those_that_may_be_called_are_tried() -> None:
    async def several(_host: str, _port: int) -> list[str]:
        return ["::1", "10.0.0.1", "127.0.0.2", "127.0.0.1"]  # at 127.0.0.2 nobody listens

    async with (
        receiving() as receiver,
        webhook(f"http://warehouse.invalid:{receiver.port}/", several) as hook,
    ):
        assert await hook.post(MESSAGE) == 200


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"])
async def test_loopback_by_any_other_name_is_loopback(host: str) -> None:
    async with receiving() as receiver, webhook(f"https://{host}:{receiver.port}/", egress=Egress()) as hook:
        with pytest.raises((AddressRefused, WarehouseUnreachable)) as refused:
            await hook.post(MESSAGE)

    assert receiver.connections == 0
    assert "must not be called" in str(refused.value) or "leads nowhere" in str(refused.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of warehouse.invalid, in one file."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    name = ["-subj", "/CN=warehouse.invalid", "-addext", "subjectAltName=DNS:warehouse.invalid"]
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run(
        ["openssl", "req", *options, *name, "-keyout", file, "-out", file.with_suffix(".crt")],
        check=True,
        capture_output=True,
    )
    return file


async def test_tls_asks_for_the_hosts_certificate_though_its_address_is_called(certificate: Path) -> None:
    async def here(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    authority = certificate.with_suffix(".crt").read_text()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate.with_suffix(".crt"), certificate)
    async with receiving(OK, tls=tls) as receiver:
        known = f"https://warehouse.invalid:{receiver.port}/"
        other = f"https://elsewhere.invalid:{receiver.port}/"
        async with webhook(known, here, authority=authority) as hook:
            assert await hook.post(MESSAGE) == 200
        for url, trusted in {known: None, other: authority}.items():
            async with webhook(url, here, authority=trusted) as hook:
                with pytest.raises(WarehouseUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
                    await hook.post(MESSAGE)

    assert len(receiver.requests) == 1


NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("120", 120),
        ("0", 1),
        ("99999999", 24 * 3600),
        ("Sun, 22 Nov 2026 06:01:00 GMT", 60),
        ("Sun, 22 Nov 2026 05:00:00 GMT", 1),
    ],
)
def test_a_wait_is_seconds_or_a_date_within_a_day(value: str, wait_s: int) -> None:
    assert retry_after(value, NOW) == timedelta(seconds=wait_s)


@pytest.mark.parametrize("value", [None, "", "soon", "-5", "9" * 400, "Sun, 22 Nov 2026 06:01:00"])
def test_what_names_no_wait_is_none(value: str | None) -> None:
    assert retry_after(value, NOW) is None


def test_the_body_is_the_events_data_as_it_is_published() -> None:
    assert json.loads(MESSAGE.body)["data"] == RESERVED.model_dump(mode="json")
