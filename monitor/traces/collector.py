"""POST /v1/traces in, 200 out once the spans are committed: the OTLP/HTTP door."""

import asyncio
from http import HTTPStatus

from google.rpc.code_pb2 import INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from monitor.metrics import MonitorMetrics
from monitor.traces import otlp
from monitor.traces.forwarding import Body, Forwarder
from monitor.traces.otlp import BadBody, BodyTooLarge, Encoding
from monitor.traces.span import Received, spans_of
from monitor.traces.spans import QueueFull, SpanStore, StoreFailed

_RETRY_AFTER_S = 1
_DECODED_AT_ONCE = 2
_SENDING_S = 30.0
_INVALID = "the trace_id must be 16 bytes and the span_id 8, neither all zero"


class Collector:
    """Takes spans from exporters; asks for no key, which is why OTLP_HOST is loopback by default."""

    def __init__(self, store: SpanStore, forwarder: Forwarder, metrics: MonitorMetrics) -> None:
        self._store = store
        self._forwarder = forwarder
        self._metrics = metrics
        self._decoders = asyncio.Semaphore(_DECODED_AT_ONCE)

    def routes(self) -> list[Route]:
        """Traces only: metrics and logs are 404, which tells an exporter not to retry."""
        return [Route("/v1/traces", self.take_spans, methods=["POST"])]

    async def take_spans(self, request: Request) -> Response:
        """Store every span that can be stored, then answer."""
        encoding = _encoding(request)
        if encoding is None:
            return _unsupported()
        gzipped = request.headers.get("content-encoding", "identity").strip().lower()
        if gzipped not in {"gzip", "identity", ""}:
            return _unsupported()
        try:
            body = await _read(request)
            received = await self._decoded(body, encoding, is_gzip=gzipped == "gzip")
        except BodyTooLarge:
            message = f"the body is longer than {otlp.BODY_BYTES_MAX} bytes; send smaller batches"
            return _refusal(encoding, 413, INVALID_ARGUMENT, message)
        except BadBody as bad:
            return _refusal(encoding, 400, INVALID_ARGUMENT, str(bad))
        except (ClientDisconnect, TimeoutError):
            return _refusal(encoding, 408, INVALID_ARGUMENT, "the body did not come to its end")
        answer = await self._stored(received, encoding)
        if answer.status_code == HTTPStatus.OK:  # what the exporter sends again would else be sent on twice
            self._forwarder.take(Body(body, _headers_to_keep(request)))
        return answer

    async def _decoded(self, body: bytes, encoding: Encoding, *, is_gzip: bool) -> Received:
        def decoded() -> Received:
            return spans_of(otlp.decode(otlp.inflate(body) if is_gzip else body, encoding))

        # In a thread: a full body takes over a second, and pages are drawn on this loop.
        async with self._decoders:
            received = await asyncio.to_thread(decoded)
        self._metrics.received.inc(len(received.spans) + received.refused)
        self._metrics.refused.labels("invalid").inc(received.refused)
        return received

    async def _stored(self, received: Received, encoding: Encoding) -> Response:
        try:
            if received.spans:
                await self._store.add(received.spans)
        except QueueFull:
            self._metrics.refused.labels("queue_full").inc(len(received.spans))
            return _refusal(encoding, 503, RESOURCE_EXHAUSTED, "too many spans wait to be written; try again")
        except StoreFailed as failed:
            self._metrics.refused.labels("store_failed").inc(len(received.spans))
            return _refusal(encoding, 503, UNAVAILABLE, f"the spans could not be written: {failed}")
        reason = f"{received.refused} spans have no valid ids: {_INVALID}" if received.refused else ""
        return Response(
            otlp.success(encoding, refused=received.refused, reason=reason), media_type=encoding.value
        )


def _headers_to_keep(request: Request) -> dict[str, str]:
    """What tells how to read the body."""
    names = ("content-type", "content-encoding")
    return {name: value for name in names if (value := request.headers.get(name)) is not None}


def _encoding(request: Request) -> Encoding | None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Encoding(media_type) if media_type in set(Encoding) else None


async def _read(request: Request) -> bytes:
    """The body as it was sent; reads no further than the limit."""
    body = bytearray()
    async with asyncio.timeout(_SENDING_S):
        async for piece in request.stream():
            body += piece
            if len(body) > otlp.BODY_BYTES_MAX:
                raise BodyTooLarge
    return bytes(body)


def _unsupported() -> Response:
    message = (
        "send application/x-protobuf or application/json, as it is or as gzip"  # RFC 9110, section 15.5.16
    )
    response = _refusal(Encoding.JSON, 415, INVALID_ARGUMENT, message)
    response.headers["Accept"] = ", ".join(Encoding)
    response.headers["Accept-Encoding"] = "gzip, identity"
    return response


def _refusal(encoding: Encoding, status: int, code: int, message: str) -> Response:
    response = Response(
        otlp.failure(encoding, code=code, message=message), status_code=status, media_type=encoding.value
    )
    if status == 503:  # noqa: PLR2004 -- the status has one meaning
        response.headers["Retry-After"] = str(_RETRY_AFTER_S)
    return response
