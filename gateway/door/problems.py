"""What went wrong, as RFC 9457 application/problem+json: any error in, an answer with a stable type out.

The kinds are in problem_kinds.py.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.door.problem_kinds import (
    BAD_REQUEST,
    BODY_TOO_LARGE,
    CONFLICT,
    INTERNAL,
    INVALID,
    INVALID_DATA,
    INVALID_EVENT,
    KINDS,
    MALFORMED_JSON,
    METHOD_NOT_ALLOWED,
    MISSING_KEY,
    NOT_FOUND,
    UNAVAILABLE,
    UNKNOWN_TYPE,
    UNSUPPORTED_MEDIA_TYPE,
    WRONG_KEY,
    WRONG_SCOPE,
    Kind,
)
from gateway.ledger.away import away
from shared.errors import BusUnavailable, ContractError, EnvelopeError, InvalidData, Problem, UnknownType
from shared.telemetry import current_traceparent, get_logger, trace_id_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2

_BY_STATUS: Final = {
    400: BAD_REQUEST,
    404: NOT_FOUND,
    405: METHOD_NOT_ALLOWED,
    409: CONFLICT,
    413: BODY_TOO_LARGE,
    415: UNSUPPORTED_MEDIA_TYPE,
    422: INVALID,
    503: UNAVAILABLE,
}


class Refused(HTTPException):
    """The request gets a problem for an answer; `errors` hold JSON pointers into the body.

    A Starlette HTTPException, since FastAPI lets those alone pass when they are raised while it reads a body.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(kind.status, detail, dict(headers or {}))
        self.kind = kind
        self.errors = tuple(errors)
        self.members = dict(members or {})


class Problems:
    """Answers what the app raises; the traceback goes to the log, not to the caller."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app
        self._log = get_logger()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one connection; an error after the answer has begun passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_noted(message: "Message") -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except Exception as error:
            if started:
                raise
            refused = refusal_of(error)
            if refused is None:
                self._log.exception("http.failed", path=scope["path"])
                refused = Refused(INTERNAL, "an unexpected error; it has been logged")
            await problem(refused, scope["path"])(scope, receive, send)


async def answer_refusal(request: Request, error: Exception) -> Response:
    """Takes the place of FastAPI's own handlers for HTTPException and RequestValidationError."""
    refused = refusal_of(error)
    if refused is None:
        raise error
    return problem(refused, request.scope["path"])


def refusal_of(error: Exception) -> Refused | None:
    """What the caller is told about the error; None for a defect of ours."""
    refused: Refused | None = None
    match error:
        case Refused():
            refused = error
        case RequestValidationError():
            refused = _of_validation(error)
        case HTTPException():
            refused = _of_http(error)
        case ContractError():
            refused = of_contract(error)
        case ClientDisconnect():
            refused = Refused(BAD_REQUEST, "the body was cut off")
        case BusUnavailable():
            refused = unavailable("the bus")
        case _:
            who = away(error)
            refused = unavailable(who) if who else None
    return refused


def unavailable(who: str) -> Refused:
    """503 with Retry-After: `who` does not answer."""
    return Refused(UNAVAILABLE, f"{who} does not answer", headers={"Retry-After": str(RETRY_AFTER_S)})


def of_contract(error: ContractError, *, under: str = "") -> Refused:
    """What an event's fault looks like; `under` is the pointer of its data in the request's body."""
    errors = [Problem(under + pointer, detail) for pointer, detail in error.problems]
    match error:
        case UnknownType():
            return Refused(UNKNOWN_TYPE, str(error), errors=errors, members={"known": list(error.known)})
        case InvalidData():
            return Refused(INVALID_DATA, str(error), errors=errors)
        case EnvelopeError():
            return Refused(INVALID_EVENT, str(error), errors=errors)
        case _:
            return Refused(INVALID, str(error), errors=errors)


def problem(refused: Refused, path: str) -> Response:
    """The answer. `instance` is the path that was asked for."""
    document: dict[str, object] = {
        "type": refused.kind.type,
        "title": refused.kind.title,
        "status": refused.status_code,
        "detail": refused.detail,
        "instance": quote(path),
    }
    if refused.errors:
        document["errors"] = [
            {"detail": detail, "pointer": "#" + quote(pointer, safe="/~!$&'()*+,;=:@")}
            for pointer, detail in refused.errors
        ]
    document |= refused.members
    trace_id = trace_id_of(current_traceparent())
    if trace_id:
        document["trace_id"] = trace_id
    headers = {"Cache-Control": "no-store", **(refused.headers or {})}
    return Response(_encode(document), refused.status_code, headers, MEDIA_TYPE)


def documented(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route: these problems, and those that every route under /v1 has."""
    return {**_responses(MISSING_KEY, WRONG_KEY, WRONG_SCOPE, *kinds, INTERNAL, UNAVAILABLE)}


def _responses(*kinds: Kind) -> dict[int, dict[str, Any]]:
    by_status: dict[int, list[Kind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {
        status: {
            "description": "; ".join(kind.title for kind in same),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {kind.slug: {"value": _example(kind)} for kind in same},
                }
            },
        }
        for status, same in by_status.items()
    }


def problem_response(kind: Kind, known: Mapping[str, Any] | None) -> dict[str, Any]:
    """OpenAPI's response for the kind's status: what is `known` of it, and this kind."""
    [own] = _responses(kind).values()
    if known is None or MEDIA_TYPE not in known.get("content", {}):
        return own
    examples = known["content"][MEDIA_TYPE].get("examples", {}) | own["content"][MEDIA_TYPE]["examples"]
    return {
        "description": f"{known['description']}; {own['description']}",
        "content": {MEDIA_TYPE: {**own["content"][MEDIA_TYPE], "examples": examples}},
    }


def pointer_of(location: Sequence[int | str]) -> str:
    """A place in a document as RFC 6901 writes it: `/items/0/sku`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in location)


SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "RFC 9457 problem details.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "enum": [kind.type for kind in KINDS.values()]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail", "pointer"],
                "properties": {
                    "detail": {"type": "string"},
                    "pointer": {"type": "string", "description": "JSON pointer, or #/<header or parameter>."},
                },
            },
        },
        "trace_id": {"type": "string"},
    },
}
"""The JSON Schema of a problem, as it stands in OpenAPI under components."""

_encode = msgspec.json.Encoder(enc_hook=str).encode


def _of_http(error: HTTPException) -> Refused:
    kind = _BY_STATUS.get(error.status_code) or Kind(
        f"http-{error.status_code}", error.status_code, error.detail, error.detail
    )
    return Refused(kind, error.detail, headers=error.headers)


def _of_validation(error: RequestValidationError) -> Refused:
    """FastAPI's locations begin with where it looked: body, query, path, header."""
    faults = error.errors()
    broken = next((fault for fault in faults if fault["type"] == "json_invalid"), None)
    if broken is not None:
        return Refused(MALFORMED_JSON, "the body is no JSON")
    errors = [Problem(pointer_of(fault["loc"][1:]), fault["msg"]) for fault in faults]
    first = errors[0]
    return Refused(INVALID, f"{first.pointer[1:] or 'the body'}: {first.detail}", errors=errors)


def _example(kind: Kind) -> dict[str, object]:
    return {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.explanation,
        "instance": "/v1/...",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }
