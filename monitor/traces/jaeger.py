"""Jaeger's query API: GET /api/... in, its JSON envelopes out.

Paths, parameters and shapes are those of Jaeger's query service (http_handler.go, query_parser.go and
internal/uimodel/model.go), so that one client reads a Jaeger and this store.
"""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitor.traces.jaeger_query import BadQuery, TraceQuery, dependency_window, parse_trace_id, trace_query
from monitor.traces.jaeger_trace import trace_document
from monitor.traces.reader import ReadFailed, TraceReader

Error = dict[str, Any]


class JaegerApi:
    """Answers Jaeger's questions from the store."""

    def __init__(self, traces: TraceReader) -> None:
        self._traces = traces

    def routes(self) -> list[Route]:
        """Every path of the API that is about traces."""
        return [
            Route("/api/services", self.services),
            Route("/api/services/{service:path}/operations", self.operation_names),
            Route("/api/operations", self.operations),
            Route("/api/traces", self.search),
            Route("/api/traces/{trace_id}", self.trace),
            Route("/api/dependencies", self.dependencies),
        ]

    async def services(self, request: Request) -> Response:
        """The names of all services."""
        del request
        return envelope(await self._traces.services())

    async def operation_names(self, request: Request) -> Response:
        """The span names of a service, each once."""
        operations = await self._traces.operations(request.path_params["service"])
        return envelope(sorted({operation.name for operation in operations}))

    async def operations(self, request: Request) -> Response:
        """The span names of a service with their kinds."""
        service = request.query_params.get("service")
        if not service:
            raise BadQuery("parameter 'service' is required")
        kind = request.query_params.get("spanKind") or None
        operations = await self._traces.operations(service, kind)
        return envelope([{"name": operation.name, "spanKind": operation.kind} for operation in operations])

    async def search(self, request: Request) -> Response:
        """The traces that fit, or those that are named by `traceID`."""
        query = trace_query(request.query_params, now_us=_now_us())
        if query.search is None:
            return await self._named(query)
        found = await self._traces.find(query.search)
        left_out = (
            [_error(413, f"{found.left_out} more traces fit but are too large together: ask for fewer")]
            if found.left_out
            else None
        )
        return envelope(
            [trace_document(spans) for spans in found.traces], limit=query.search.limit, errors=left_out
        )

    async def trace(self, request: Request) -> Response:
        """One trace."""
        spans = await self._traces.trace(parse_trace_id(request.path_params["trace_id"]))
        if not spans:
            return failure(404, "trace not found")
        return envelope([trace_document(spans)])

    async def dependencies(self, request: Request) -> Response:
        """Which service calls which."""
        window = dependency_window(request.query_params, now_us=_now_us())
        links = await self._traces.dependencies(start_us=window.start_us, end_us=window.end_us)
        return envelope(
            [{"parent": link.parent, "child": link.child, "callCount": link.calls} for link in links]
        )

    async def _named(self, query: TraceQuery) -> Response:
        documents: list[dict[str, Any]] = []
        missing: list[Error] = []
        for trace_id in query.trace_ids:
            spans = await self._traces.trace(trace_id)
            if spans:
                documents.append(trace_document(spans))
            else:
                missing.append(_error(404, "trace not found") | {"traceID": trace_id.hex()})
        return envelope(documents, errors=missing or None)


async def bad_query(request: Request, error: Exception) -> Response:
    """The answer to a parameter that cannot be read."""
    del request
    return failure(400, str(error))


async def read_failed(request: Request, error: Exception) -> Response:
    """The answer when the store could not answer in time."""
    del request
    return failure(503, str(error))


EXCEPTION_HANDLERS = {BadQuery: bad_query, ReadFailed: read_failed}


def envelope(data: Sequence[Any], *, limit: int = 0, errors: list[Error] | None = None) -> Response:
    """The form of every answer."""
    document = {"data": data, "total": len(data), "limit": limit, "offset": 0, "errors": errors}
    return Response(msgspec.json.encode(document), media_type="application/json")


def failure(code: int, message: str) -> Response:
    """The form of every refusal."""
    document = {"data": None, "total": 0, "limit": 0, "offset": 0, "errors": [_error(code, message)]}
    return Response(msgspec.json.encode(document), status_code=code, media_type="application/json")


def _error(code: int, message: str) -> Error:
    return {"code": code, "msg": message}


def _now_us() -> int:
    return time.time_ns() // 1000
