"""The warehouse's webhook: a message in, the status of its answer out, or one of these errors.

WarehouseError
|-- WarehouseUnreachable  no name, no connection, no answer in time
|-- AddressRefused        its name leads to an address that must not be called
`-- WarehouseRefused      it answered, but not with 2xx; a redirect is no answer and is not followed
    |-- WarehouseBusy     it said when to come again (429, 503)
    `-- WarehouseGone     it wants no more (410)
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ipaddress import ip_address
from types import TracebackType
from typing import Self

import httpx

from inventory_service.egress import Address, Egress
from inventory_service.signing import Message, Signer
from shared import VERSION
from shared.errors import TrunklineError
from shared.telemetry import Tracing, names

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""A host and a port in, the addresses to which they lead now out; OSError when there are none."""

_CONNECTIONS = 16
_MOST_ADDRESSES = 3
_BODY_BYTES = 64 * 1024
_BODY_WAIT = timedelta(seconds=1)
_SHORTEST_WAIT, _LONGEST_WAIT = timedelta(seconds=1), timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the warehouse is and how it is spoken to."""

    url: httpx.URL
    secrets: tuple[str, ...] = field(repr=False)
    egress: Egress = field(default_factory=Egress)
    authority: str | None = None
    """Certificates (PEM) to trust instead of those that are generally trusted."""
    connect: timedelta = timedelta(seconds=5)
    whole: timedelta = timedelta(seconds=20)

    @property
    def port(self) -> int:
        """The port, also where the URL names none."""
        return self.url.port or (443 if self.is_encrypted else 80)

    @property
    def is_encrypted(self) -> bool:
        """Whether it is spoken to over TLS."""
        return self.url.scheme == "https"


class WarehouseError(TrunklineError):
    """The warehouse was not told, or nobody knows whether it was."""


class WarehouseUnreachable(WarehouseError):
    """No name, no connection, or no answer in time."""


class AddressRefused(WarehouseError):
    """The warehouse's name leads to an address that must not be called."""


class WarehouseRefused(WarehouseError):
    """The warehouse answered, but not with 2xx."""

    def __init__(self, status: int, meaning: str = "") -> None:
        super().__init__(f"warehouse answered {status}{meaning and f': {meaning}'}")
        self.status = status


class WarehouseBusy(WarehouseRefused):
    """The warehouse said when to come again."""

    def __init__(self, status: int, retry_after: timedelta) -> None:
        super().__init__(status, f"retry after {retry_after.total_seconds():g} s")
        self.retry_after = retry_after


class WarehouseGone(WarehouseRefused):
    """The warehouse wants no more messages."""


class Webhook:
    """Posts messages over a few connections that are kept; a context manager. `endpoint` None: to nobody."""

    def __init__(
        self, endpoint: Endpoint | None, *, tracing: Tracing, resolve: Resolve | None = None
    ) -> None:
        self.endpoint = endpoint
        self._tracing = tracing
        self._resolve = resolve or _resolve
        self._signer = Signer(endpoint.secrets if endpoint else ())
        self._transport = _transport(endpoint) if endpoint else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    async def post(self, message: Message) -> int:
        """Post the message; returns the status, a 2xx. Raises a WarehouseError.

        Cancelled, or after WarehouseUnreachable, nobody knows whether the warehouse has it.
        """
        if self.endpoint is None or self._transport is None:
            raise RuntimeError("there is no warehouse to be told; look at `endpoint` first")
        whole = self.endpoint.whole
        with self._tracing.client("POST", _attributes(self.endpoint)) as span:
            try:
                async with asyncio.timeout(whole.total_seconds()):
                    requests = await self._requests(self.endpoint, message, span.traceparent)
                    response = await _answer(self._transport, requests)
            except TimeoutError:
                why = f"warehouse did not answer within {whole.total_seconds():g} s"
                raise WarehouseUnreachable(why) from None
            try:
                span.set(names.HTTP_RESPONSE_STATUS_CODE, response.status_code)
                return _accepted(response)
            finally:
                await _let_go(response)

    async def _requests(self, endpoint: Endpoint, message: Message, traceparent: str) -> list[httpx.Request]:
        """The same request to each address that may be called."""
        addresses = await self._addresses(endpoint)
        return [
            self._request(endpoint, address, message, traceparent) for address in addresses[:_MOST_ADDRESSES]
        ]

    async def _addresses(self, endpoint: Endpoint) -> list[Address]:
        """Those that may be called. The name is looked up once: what is checked is what is connected to."""
        host = endpoint.url.host
        try:
            found = [ip_address(text) for text in await self._resolve(host, endpoint.port)]
        except OSError as error:
            raise WarehouseUnreachable(_why(f"warehouse's name {host} leads nowhere", error)) from error
        permitted = [
            address
            for address in found
            if endpoint.egress.permits(host, address, encrypted=endpoint.is_encrypted)
        ]
        if not permitted:
            where = ", ".join(map(str, found))
            way = endpoint.url.scheme
            raise AddressRefused(
                f"{host} leads to {where}, which must not be called over {way}; is it right, put it into "
                "WAREHOUSE_ALLOW"
            )
        return permitted

    def _request(
        self, endpoint: Endpoint, address: Address, message: Message, traceparent: str
    ) -> httpx.Request:
        """To the address itself, in the host's name: for HTTP in `Host`, for TLS in SNI and certificate."""
        whole, connect = endpoint.whole.total_seconds(), endpoint.connect.total_seconds()
        return httpx.Request(
            "POST",
            endpoint.url.copy_with(host=str(address)),
            headers={
                "host": endpoint.url.netloc.decode("ascii"),
                "content-type": "application/json",
                "user-agent": f"Trunkline/{VERSION}",
                "traceparent": traceparent,
                **self._signer.headers(message, datetime.now(UTC)),
            },
            content=message.body.encode(),
            extensions={
                "sni_hostname": endpoint.url.raw_host.decode("ascii"),
                "timeout": httpx.Timeout(whole, connect=connect).as_dict(),
            },
        )


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The wait that a Retry-After header names, seconds or a date, from 1 s to 24 h; None for none."""
    if value is None:
        return None
    try:
        is_seconds = value.strip().isdecimal()
        wait = timedelta(seconds=int(value)) if is_seconds else parsedate_to_datetime(value) - now
    except (ValueError, OverflowError, TypeError):
        return None
    return min(max(wait, _SHORTEST_WAIT), _LONGEST_WAIT)


def _transport(endpoint: Endpoint) -> httpx.AsyncHTTPTransport:
    """The transport alone: a client would keep cookies and follow redirects and the environment's proxies."""
    authority = endpoint.authority
    return httpx.AsyncHTTPTransport(
        verify=ssl.create_default_context(cadata=authority) if authority else True,
        trust_env=False,
        limits=httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=5),
    )


async def _answer(transport: httpx.AsyncHTTPTransport, requests: Sequence[httpx.Request]) -> httpx.Response:
    """The head of the answer, from the first address that takes a connection."""
    failure: Exception | None = None
    for request in requests:
        try:
            return await transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            failure = error
        except httpx.HTTPError as error:
            raise WarehouseUnreachable(_why("warehouse did not answer", error)) from error
    raise WarehouseUnreachable(_why("no connection to the warehouse", failure)) from failure


def _accepted(response: httpx.Response) -> int:
    status = response.status_code
    if response.is_success:
        return status
    if status == HTTPStatus.GONE:
        raise WarehouseGone(status, "it wants no more messages; take WAREHOUSE_URL away or correct it")
    wait = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
    if wait is not None and status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        raise WarehouseBusy(status, wait)
    raise WarehouseRefused(status, "redirects are not followed" if response.has_redirect_location else "")


async def _let_go(response: httpx.Response) -> None:
    """Read a short body to its end, so that the connection can be used again; hang up on any other."""
    size_bytes = 0
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(_BODY_WAIT.total_seconds()):
            async for chunk in response.aiter_raw():
                size_bytes += len(chunk)
                if size_bytes > _BODY_BYTES:
                    break
    await response.aclose()


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _attributes(endpoint: Endpoint) -> dict[str, str | int]:
    return {
        names.HTTP_REQUEST_METHOD: "POST",
        names.URL_SCHEME: endpoint.url.scheme,
        names.SERVER_ADDRESS: endpoint.url.host,
        names.SERVER_PORT: endpoint.port,
    }


def _why(what: str, error: Exception | None) -> str:
    """One line; some errors of a connection have no words of their own."""
    return f"{what}: {error or type(error).__name__}" if error else what
