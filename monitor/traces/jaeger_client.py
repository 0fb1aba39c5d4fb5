"""Questions in, traces out of a Jaeger, by its query API; ours speaks the same, so one client reads both."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final, Self, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import msgspec

from monitor.traces.jaeger_document import TraceDocument, spans_of_document
from monitor.traces.reader import READ_S, ReadFailed
from monitor.traces.search import Cursor, TraceSummary
from monitor.traces.span import Span
from monitor.traces.summary import summary_of

T = TypeVar("T")

_LOOKBACK_US: Final = timedelta(days=2) // timedelta(microseconds=1)
"""How far back a search goes from its end: Jaeger's stores look through all of that."""
_OF_EACH_SERVICE: Final = 20
"""Traces asked of each service where all are wanted: Jaeger answers for one at a time, with whole traces."""
_AT_A_TIME: Final = 4


class _Fault(msgspec.Struct):
    msg: str = ""


class _Names(msgspec.Struct):
    data: list[str] | None = None


class _Traces(msgspec.Struct):
    data: list[TraceDocument] | None = None


class _Faults(msgspec.Struct):
    errors: list[_Fault] | None = None


class JaegerClient:
    """Asks one Jaeger. Raises ReadFailed, which says in one line what went wrong."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._at = shown(url)
        # No proxy of the environment: the Jaeger is a neighbour.
        self._client = httpx.AsyncClient(timeout=READ_S, trust_env=False)
        self._turns = asyncio.Semaphore(_AT_A_TIME)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def services(self) -> list[str]:
        """The services that have sent spans lately, by name; Jaeger's own are left out."""
        found = (await self._ask("/api/services", {}, _Names)).data or []
        return sorted(name for name in found if not name.startswith("jaeger"))

    async def trace(self, trace_id: bytes) -> list[Span]:
        """The spans of one trace by start; none when it is not known."""
        found = await self._traces(f"/api/traces/{trace_id.hex()}", {})
        return found[0] if found else []

    async def recent(
        self, *, service: str | None = None, after: Cursor | None = None, limit: int
    ) -> tuple[list[TraceSummary], Cursor | None]:
        """A page of the newest traces of two days, and where the next page begins, if any.

        Of one service they stand by the start of its own part of each, of all by the start of the whole.
        """
        services = [service] if service is not None else await self.services()
        most = limit + 1 if service is not None else _OF_EACH_SERVICE
        parts = await asyncio.gather(*(self._newest_of(one, after, most) for one in services))
        # A service that answered with as many as it may has older ones, which others may not have told of.
        told_until_us = max((part[-1][0] for part in parts if len(part) >= most), default=0)
        found: dict[bytes, tuple[int, Sequence[Span]]] = {}
        for start_us, spans in (one for part in parts for one in part):
            start = start_us if service is not None else spans[0].start_us
            if start >= told_until_us and _is_after(start, spans[0].trace_id, after):
                found[spans[0].trace_id] = (start, spans)
        order = sorted(found.items(), key=lambda one: (one[1][0], one[0]), reverse=True)
        page = [summary_of(spans) for _, (_, spans) in order[:limit]]
        if not page or (len(order) <= limit and not told_until_us):
            return page, None
        last_id, (last_us, _) = order[len(page) - 1]
        return page, Cursor(last_us, last_id)

    async def _newest_of(
        self, service: str, after: Cursor | None, most: int
    ) -> list[tuple[int, Sequence[Span]]]:
        """Traces of the service, each with the start of its own part, the newest first."""
        end_us = after.start_us if after is not None else time.time_ns() // 1000
        asked = {"service": service, "start": end_us - _LOOKBACK_US, "end": end_us, "limit": most}
        found = await self._traces("/api/traces", asked)
        starts = [
            (min((one.start_us for one in spans if one.resource.service == service), default=0), spans)
            for spans in found
        ]
        return sorted(starts, key=lambda one: one[0], reverse=True)

    async def _traces(self, path: str, query: dict[str, str | int]) -> list[list[Span]]:
        found = (await self._ask(path, query, _Traces)).data or []
        try:
            return [spans for document in found if (spans := spans_of_document(document))]
        except ValueError as error:
            raise ReadFailed(f"the Jaeger at {self._at} has a trace that cannot be read: {error}") from error

    async def _ask(self, path: str, query: dict[str, str | int], shape: type[T]) -> T:
        try:
            async with self._turns:
                response = await self._client.get(self._url + quote(path), params=query)
        except httpx.TimeoutException as error:
            raise ReadFailed(f"the Jaeger at {self._at} took longer than {READ_S:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ReadFailed(f"the Jaeger at {self._at} does not answer: {error}") from error
        if response.status_code == HTTPStatus.NOT_FOUND:
            return shape()
        if response.status_code != HTTPStatus.OK:
            raise ReadFailed(
                f"the Jaeger at {self._at} refused: {response.status_code} {_why(response.content)}".rstrip()
            )
        try:
            return msgspec.json.decode(response.content, type=shape)
        except msgspec.DecodeError as error:
            raise ReadFailed(f"what answers at {self._at} is no query API of Jaeger: {error}") from error


def shown(url: str) -> str:
    """The address without the user and the password that may stand in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def _is_after(start_us: int, trace_id: bytes, place: Cursor | None) -> bool:
    return place is None or (start_us, trace_id) < (place.start_us, place.trace_id)


def _why(content: bytes) -> str:
    try:
        faults = msgspec.json.decode(content, type=_Faults).errors or []
    except msgspec.DecodeError:
        return ""
    return faults[0].msg if faults else ""
