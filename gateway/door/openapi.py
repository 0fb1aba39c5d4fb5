"""The OpenAPI document: the routes in, one document with all schemas and examples out."""

from datetime import timedelta
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from gateway.door.idempotency import SECRET_ANSWERS
from gateway.door.keys import GUARDED
from gateway.door.problem_kinds import (
    IDEMPOTENCY_KEY_IN_FLIGHT,
    IDEMPOTENCY_KEY_REUSED,
    INVALID_IDEMPOTENCY_KEY,
)
from gateway.door.problems import MEDIA_TYPE, SCHEMA, problem_response
from gateway.reports.asking import NewReport
from gateway.routes.dead_replays import ReplayRequest
from gateway.routes.direct_jobs import NewJob
from gateway.routes.emails import NewEmail
from gateway.routes.groups import NewGroup
from gateway.routes.handler_control import HandlerChange
from gateway.routes.keys import NewKey
from gateway.routes.mass_orders import OrderRequest
from gateway.routes.notifications import NewNotification
from gateway.routes.orders import NewOrder
from gateway.routes.products import NewGoods, NewProduct
from gateway.routes.schedule_orders import Pause
from gateway.routes.schedule_preview import Draft
from gateway.routes.schedules import ScheduleChange
from gateway.routes.users import NewUser
from shared.contracts import CATALOGUE
from shared.schedules import Definition

DESCRIPTION: Final = """
REST calls in, events out. An answer of 2xx means *accepted = committed*: the event, and the rows it tells of,
are in one commit. What is done about it are jobs; each answer names them.

Errors are RFC 9457 problems. Their `type` is stable and has a page of its own under `/problems`.
"""
TAGS: Final = [
    {"name": "users", "description": "Who is registered."},
    {"name": "products", "description": "The catalogue, and goods that come in."},
    {"name": "orders", "description": "What customers want, and what became of it."},
    {"name": "emails", "description": "Mails to be sent."},
    {"name": "notifications", "description": "Users are told something, by mail."},
    {"name": "files", "description": "Files in; what is in them, their bytes and artifacts out."},
    {"name": "reports", "description": "Reports asked for; how they stand, and the files."},
    {"name": "events", "description": "CloudEvents 1.0 in; events with their jobs and causes out."},
    {
        "name": "groups",
        "description": "Events that belong together, and the one that follows them.",
    },
    {"name": "jobs", "description": "What handlers make of events."},
    {"name": "dead", "description": "Jobs that ended without success, and their replay."},
    {"name": "handlers", "description": "Who works on what, and how far behind it is."},
    {"name": "schedules", "description": "Events at times to come, and what became of those that were due."},
    {"name": "keys", "description": "Who may do what; whoever asks, and all others."},
    {"name": "health", "description": "For orchestrators; open without a key."},
    {"name": "problems", "description": "What each kind of error means."},
]
_BODIES: Final = (
    NewUser,
    NewProduct,
    NewGoods,
    NewOrder,
    NewEmail,
    NewNotification,
    HandlerChange,
    NewGroup,
    NewJob,
    ReplayRequest,
    OrderRequest,
    NewReport,
    Definition,
    ScheduleChange,
    Pause,
    NewKey,
    Draft,
)
_PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`wait=N`: answer when the jobs of what was accepted are final, after N seconds at the "
    "latest (30 at most); `state` of each is as it is then (RFC 7240).",
    "schema": {"type": "string"},
    "example": "wait=5",
}
_ACCEPTING: Final = (
    "/v1/events",
    "/v1/groups",
    "/v1/users",
    "/v1/products/{sku}/stock",
    "/v1/orders",
    "/v1/emails",
    "/v1/notifications",
    "/v1/files",
    "/v1/reports",
    "/v1/jobs",
    "/v1/schedules/{name}/run",
)
_IDEMPOTENCY_KINDS: Final = (INVALID_IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_IN_FLIGHT, IDEMPOTENCY_KEY_REUSED)
_REPLAYED: Final = {
    "description": "The answer is that of an earlier request with the same Idempotency-Key.",
    "schema": {"const": "true"},
}
_REF: Final = "#/components/schemas/{model}"


def describe(app: FastAPI, *, answers_kept_for: timedelta) -> dict[str, Any]:
    """The document; built once, then kept on the app."""
    if app.openapi_schema is None:
        app.openapi_schema = _document(app)
        _document_idempotency(app.openapi_schema, answers_kept_for)
    return app.openapi_schema


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="Event-driven background work",
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for models in (_BODIES, tuple(CATALOGUE)):
        _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
        schemas.update(definitions["$defs"])
    schemas["Problem"] = SCHEMA
    schemas["CloudEvent"] = _cloud_event()
    _drop_fastapi_errors(document)
    return document


def _cloud_event() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "title": "CloudEvent",
        "description": "CloudEvents 1.0 in JSON; extensions are members of lower-case letters and digits.",
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "format": "uri-reference", "minLength": 1},
            "type": {"type": "string", "enum": list(CATALOGUE.types)},
            "time": {"type": "string", "format": "date-time"},
            "subject": text,
            "datacontenttype": text,
            "traceparent": text,
            "correlationid": text,
            "causationid": text,
            "deliverat": {"type": "string", "format": "date-time"},
            "expirytime": {"type": "string", "format": "date-time"},
            "data": {"anyOf": [{"$ref": _REF.format(model=contract.__name__)} for contract in CATALOGUE]},
            "data_base64": {"type": "string", "contentEncoding": "base64"},
        },
        "additionalProperties": {"type": ["string", "integer", "boolean", "null"]},
    }


def _drop_fastapi_errors(document: dict[str, Any]) -> None:
    """FastAPI documents its own 422 for every route with a parameter; ours is a problem."""
    for path in document["paths"].values():
        for operation in path.values():
            invalid = operation["responses"].get("422", {}).get("content", {})
            if "application/json" in invalid:
                operation["responses"]["422"] = {
                    "description": "A parameter does not fit",
                    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _document_idempotency(document: dict[str, Any], answers_kept_for: timedelta) -> None:
    """Middleware is not seen by FastAPI: its headers and problems, for each POST under /v1."""
    header = _idempotency_key(answers_kept_for)
    for path, item in document["paths"].items():
        if not path.startswith(GUARDED) or "post" not in item or path in SECRET_ANSWERS:
            continue
        operation = item["post"]
        operation["parameters"] = [*operation.get("parameters", ()), header]
        responses: dict[str, Any] = operation["responses"]
        if path in _ACCEPTING:
            operation["parameters"].append(_PREFER)
        for status, response in responses.items():
            if status.startswith("2"):
                response["headers"] = {**response.get("headers", {}), "Idempotent-Replayed": _REPLAYED}
        for kind in _IDEMPOTENCY_KINDS:
            status = str(kind.status)
            responses[status] = problem_response(kind, responses.get(status))


def _idempotency_key(answers_kept_for: timedelta) -> dict[str, Any]:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": (
            "Makes the request safe to repeat: the same key with the same request has one effect and gets "
            "the same answer, with `Idempotent-Replayed: true`. A structured-field String, whose quotes may "
            "be left out; it belongs to the API key that it came with. "
            f"Answers are kept for {answers_kept_for.total_seconds():.12g} s, then the key is new again."
        ),
        "schema": {"type": "string", "minLength": 1, "maxLength": 512},
        "example": '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
    }
