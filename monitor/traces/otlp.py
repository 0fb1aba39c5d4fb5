"""The bytes of an OTLP/HTTP body in, an ExportTraceServiceRequest out; and back for the answers; pure.

The rules are those of the OpenTelemetry Protocol specification, section OTLP/HTTP.
"""

import binascii
import zlib
from base64 import b64encode
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

BODY_BYTES_MAX = 16 * 1024 * 1024
"""The longest body that is taken, before and after inflation."""

_GZIP = 16 + zlib.MAX_WBITS


class Encoding(StrEnum):
    """The two forms of a body; an answer has the form of its request."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


class BodyTooLarge(Exception):
    """The body is longer than BODY_BYTES_MAX."""


class BadBody(Exception):
    """The body is not what its headers say; the message says why."""


def inflate(body: bytes) -> bytes:
    """The content of a gzip body; never holds more than BODY_BYTES_MAX of it, whatever the body claims."""
    content = bytearray()
    rest = body
    while rest:  # RFC 1952: a body may hold several members
        inflater = zlib.decompressobj(_GZIP)
        try:
            content += inflater.decompress(rest, BODY_BYTES_MAX + 1 - len(content))
        except zlib.error as error:
            raise BadBody(f"the body is no gzip: {error}") from error
        if len(content) > BODY_BYTES_MAX:
            raise BodyTooLarge
        if not inflater.eof:
            raise BadBody("the gzip body ends too early")
        rest = inflater.unused_data
    return bytes(content)


def decode(body: bytes, encoding: Encoding) -> ExportTraceServiceRequest:
    """The request that the body holds; BadBody when it holds none."""
    request = ExportTraceServiceRequest()
    try:
        if encoding is Encoding.PROTOBUF:
            request.ParseFromString(body)
        else:
            json_format.ParseDict(_with_base64_ids(body), request, ignore_unknown_fields=True)
    except (DecodeError, json_format.ParseError, msgspec.DecodeError) as error:
        raise BadBody(f"the body is no ExportTraceServiceRequest: {error}") from error
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        # Raised by json_format and by the walk below on JSON of another shape.
        raise BadBody(f"the body is no ExportTraceServiceRequest: {error}") from error
    return request


def success(encoding: Encoding, *, refused: int = 0, reason: str = "") -> bytes:
    """The body of a 200; partial_success is set only when spans were refused, as the specification asks."""
    response = ExportTraceServiceResponse()
    if refused:
        response.partial_success.rejected_spans = refused
        response.partial_success.error_message = reason
    return _encode(response, encoding)


def failure(encoding: Encoding, *, code: int, message: str) -> bytes:
    """The body of a 4xx or 5xx: a google.rpc.Status; `code` is one of google.rpc.Code."""
    return _encode(Status(code=code, message=message), encoding)


def _encode(message: Message, encoding: Encoding) -> bytes:
    if encoding is Encoding.PROTOBUF:
        return message.SerializeToString()
    return json_format.MessageToJson(message, indent=None).encode()


def _with_base64_ids(body: bytes) -> dict[str, Any]:
    """OTLP's JSON writes ids in hex, where protobuf's own JSON reads bytes as base64."""
    document: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    for holder in _holders_of_ids(document):
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in holder:
                try:
                    holder[name] = b64encode(bytes.fromhex(holder[name])).decode()
                except (binascii.Error, ValueError) as error:
                    raise BadBody(f"{name} is no hex text") from error
    return document


def _holders_of_ids(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for of_resource in document.get("resourceSpans", ()):
        for of_scope in of_resource.get("scopeSpans", ()):
            for span in of_scope.get("spans", ()):
                yield span
                yield from span.get("links", ())
