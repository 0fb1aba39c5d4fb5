"""The gateway's REST API from Python: a path in, JSON out; a refusal is raised with what its problem says."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from secrets import token_hex
from typing import Any, Final, Self
from urllib.parse import quote

import httpx
import msgspec

Query = Mapping[str, object]
"""Parameters of a URL; those that are None are left out."""

ANSWER_LIMIT_S: Final = 10.0
"""How long an answer may take, unless the caller says otherwise."""

SILENCE_LIMIT_S: Final = 45.0
"""A stream that is silent for so long is cut off: the gateway sends a sign of life every 15 s."""

_UNSAMPLED: Final = "00-{trace_id}-{span_id}-00"


class Refusal(Exception):
    """The gateway said no. Says why in one line: `403 wrong scope: this needs the scope operate`."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        """The members of problem+json (RFC 9457); none of them where the answer was no problem."""
        self.title = str(problem.get("title") or HTTPStatus(status).phrase)
        self.detail = str(problem.get("detail") or "")
        super().__init__(f"{status} {self.title}: {self.detail}" if self.detail else f"{status} {self.title}")


class Unreachable(Exception):
    """No gateway answered at the address, or not in time."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"no answer from the gateway at {url}: {reason}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway said: a status of 2xx or 304, the headers, and the JSON of the body, None for none."""

    status: int
    headers: httpx.Headers
    body: Any


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event of a stream."""

    id: str
    event: str
    data: Any


class GatewayApi:
    """One gateway, asked with one key. `with_key` asks with another over the same connections.

    Raises Refusal and Unreachable, nothing else. A question that is `quiet` leaves no trace behind: for who
    asks again and again.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        agent: str = "trunkline",
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._agent = agent
        self._key = key
        # No proxy of the environment: the gateway is a neighbour, and keys are not for strangers.
        self._client = client or httpx.AsyncClient(timeout=ANSWER_LIMIT_S, trust_env=False)

    def with_key(self, key: str | None) -> "GatewayApi":
        """The same gateway and connections, asked with this key."""
        return GatewayApi(self.url, key, agent=self._agent, client=self._client)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, those of `with_key` too."""
        await self._client.aclose()

    async def get(
        self, path: str, query: Query | None = None, *, quiet: bool = False, limit_s: float = ANSWER_LIMIT_S
    ) -> Any:
        """The JSON of a GET."""
        return (await self.ask("GET", path, query=query, quiet=quiet, limit_s=limit_s)).body

    async def post(self, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """A POST; without a body, none is sent."""
        return await self.ask("POST", path, body=body, headers=headers)

    async def patch(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """A PATCH."""
        return await self.ask("PATCH", path, body=body, headers=headers)

    async def delete(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """A DELETE."""
        return await self.ask("DELETE", path, headers=headers)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        quiet: bool = False,
        limit_s: float = ANSWER_LIMIT_S,
    ) -> Answer:
        """One request. `path` is encoded already: see `path_of`."""
        given = self._headers(quiet=quiet) | dict(headers or {})
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else msgspec.json.encode(body)
            given.setdefault("content-type", "application/json")
        try:
            response = await self._client.request(
                method, self.url + path, params=_given(query), content=content, headers=given, timeout=limit_s
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(self.url, _reason(error, limit_s)) from error
        return _answer(response.status_code, response.headers, response.content)

    @asynccontextmanager
    async def stream(
        self, path: str, *, last_event_id: str | None = None
    ) -> AsyncGenerator[AsyncIterator[ServerSentEvent]]:
        """The events of a stream, for as long as the gateway sends them."""
        given = self._headers(quiet=False) | {"accept": "text/event-stream"}
        if last_event_id is not None:
            given["last-event-id"] = last_event_id
        timeout = httpx.Timeout(ANSWER_LIMIT_S, read=SILENCE_LIMIT_S)
        try:
            async with self._client.stream(
                "GET", self.url + path, headers=given, timeout=timeout
            ) as response:
                if response.status_code != HTTPStatus.OK:
                    _answer(response.status_code, response.headers, await response.aread())
                yield _events(response.aiter_lines())
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(self.url, _reason(error, SILENCE_LIMIT_S)) from error

    def _headers(self, *, quiet: bool) -> dict[str, str]:
        given = {"user-agent": self._agent}
        if self._key:
            given["authorization"] = f"Bearer {self._key}"
        if quiet:
            given["traceparent"] = _UNSAMPLED.format(trace_id=token_hex(16), span_id=token_hex(8))
        return given


def path_of(*parts: str) -> str:
    """A path below /v1 of these parts, each encoded: `path_of("jobs", job_id, "retry")`."""
    return "/v1/" + "/".join(quote(part, safe=":") for part in parts)


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[ServerSentEvent]:
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield ServerSentEvent(
                fields.get("id", ""), fields.get("event", "message"), _json(fields["data"].encode())
            )
            fields = {}


def _answer(status: int, headers: httpx.Headers, content: bytes) -> Answer:
    body = _json(content) if content else None
    if status < HTTPStatus.BAD_REQUEST:
        return Answer(status, headers, body)
    raise Refusal(status, body if isinstance(body, dict) else {})


def _json(content: bytes) -> Any:
    """What a proxy answers is seldom JSON; its status says enough."""
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        return None


def _given(query: Query | None) -> dict[str, str] | None:
    return {name: str(value) for name, value in (query or {}).items() if value is not None} or None


def _reason(error: Exception, limit_s: float) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"it took longer than {limit_s:g} s"
    return str(error) or type(error).__name__
