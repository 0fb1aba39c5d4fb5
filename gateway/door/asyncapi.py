"""The system's events as AsyncAPI 3.0: contracts, handlers and routes in, a document of plain values out."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic.json_schema import models_json_schema

from shared.bus import BusName, Routes
from shared.bus.jetstream import durable_of
from shared.contracts import Event
from shared.jobs import HandlerRecord

Document = dict[str, Any]

_ADDRESS: Final[Mapping[BusName, str]] = {"redis": "events:{type}", "nats": "events.{type}"}
_PORT: Final[Mapping[BusName, int]] = {"redis": 6379, "nats": 4222}
_ABOUT: Final[Mapping[BusName, str]] = {
    "redis": "Redis Streams. One field of an entry for each attribute, and `data`; or `data` alone.",
    "nats": "JetStream, stream EVENTS. One header for each attribute; the body is the data.",
}

# The attributes have the same names on both buses: fields of a stream entry, headers of a message.
_HEADERS: Final[Document] = {
    "title": "CloudEvent",
    "description": "The attributes of a CloudEvent 1.0 in binary mode.",
    "type": "object",
    "required": ["ce-id", "ce-source", "ce-specversion", "ce-type"],
    "properties": {
        "ce-specversion": {"const": "1.0"},
        "ce-id": {
            "type": "string",
            "minLength": 1,
            "description": "Unique with the source; ours are UUIDv7.",
        },
        "ce-source": {"type": "string", "format": "uri-reference", "minLength": 1},
        "ce-type": {"type": "string", "minLength": 1},
        "ce-time": {"type": "string", "format": "date-time"},
        "ce-subject": {"type": "string", "minLength": 1},
        "ce-correlationid": {"type": "string", "description": "Shared by all events of one chain."},
        "ce-causationid": {"type": "string", "description": "The id of the event that caused this one."},
        "ce-groupid": {"type": "string", "description": "The group of an event, or that it follows."},
        "ce-groupsize": {"type": "string", "description": "How many events the group had that it follows."},
        "ce-groupfailed": {"type": "string", "description": "How many of them have a job that failed."},
        "traceparent": {"type": "string", "description": "W3C Trace Context of the event's creation."},
    },
    "additionalProperties": {"type": "string"},
}


def describe(
    contracts: Iterable[type[Event]],
    handlers: Mapping[str, HandlerRecord],
    routes: Routes,
    *,
    urls: Mapping[BusName, str],
    version: str,
) -> Document:
    """The document. Of `urls` the hosts alone are shown, never user or password.

    An event is sent on the buses of its route; a handler receives it on every bus that is on.
    """
    known = {contract.type: contract for contract in contracts}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Trunkline",
            "version": version,
            "description": "The events of the system, and which handlers work on them.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {bus: _server(bus, urls[bus]) for bus in routes.enabled},
        "channels": dict(_channels(known, routes)),
        "operations": dict([*_sends(known, routes), *_receives(known, handlers, routes)]),
        "components": {"messages": dict(_messages(known)), "schemas": _schemas(known.values())},
    }


def _server(bus: BusName, url: str) -> Document:
    first = urlsplit(url.partition(",")[0])
    return {
        "host": f"{first.hostname}:{first.port or _PORT[bus]}",
        "pathname": first.path or "/",
        "protocol": bus,
        "description": _ABOUT[bus],
    }


def _channels(known: Mapping[str, type[Event]], routes: Routes) -> Iterator[tuple[str, Document]]:
    for type_ in known:
        for bus in routes.enabled:
            address = _channel(bus, type_)
            yield (
                address,
                {
                    "address": address,
                    "description": f"{type_} on {bus}",
                    "servers": [_ref("servers", bus)],
                    "messages": {type_: _ref("components", "messages", type_)},
                },
            )


def _sends(known: Mapping[str, type[Event]], routes: Routes) -> Iterator[tuple[str, Document]]:
    for type_ in known:
        for bus in routes.buses_for(type_):
            summary = f"{type_} is published on {bus}"
            yield f"send.{bus}.{type_}", _operation("send", bus, type_, summary)


def _receives(
    known: Mapping[str, type[Event]], handlers: Mapping[str, HandlerRecord], routes: Routes
) -> Iterator[tuple[str, Document]]:
    for handler in handlers.values():
        if handler.event_type not in known:
            continue
        for bus in routes.enabled:
            operation = _operation("receive", bus, handler.event_type, handler.description or handler.name)
            yield (
                f"receive.{bus}.{handler.name}",
                {
                    **operation,
                    "x-handler": handler.name,
                    "x-service": handler.service,
                    "x-max-attempts": handler.max_attempts,
                    **_membership(bus, handler.name),
                },
            )


def _membership(bus: BusName, handler: str) -> Document:
    """What the AsyncAPI bindings have no member for: who shares the work with whom."""
    if bus == "redis":
        return {"x-redis": {"group": handler}}
    return {"x-nats": {"stream": "EVENTS", "durable": durable_of(handler)}}


def _operation(action: str, bus: BusName, type_: str, summary: str) -> Document:
    channel = _channel(bus, type_)
    return {
        "action": action,
        "summary": summary,
        "channel": _ref("channels", channel),
        "messages": [_ref("channels", channel, "messages", type_)],
    }


def _messages(known: Mapping[str, type[Event]]) -> Iterator[tuple[str, Document]]:
    for type_, contract in known.items():
        yield (
            type_,
            {
                "name": type_,
                "title": contract.__name__,
                "summary": (contract.__doc__ or "").partition("\n")[0],
                "contentType": "application/json",
                "correlationId": {"location": "$message.header#/ce-correlationid"},
                "headers": _ref("components", "schemas", "CloudEvent"),
                "payload": _schema_ref(contract),
            },
        )


def _schemas(contracts: Iterable[type[Event]]) -> Document:
    _, document = models_json_schema(
        [(contract, "validation") for contract in contracts],
        ref_template="#/components/schemas/{model}",
    )
    return {"CloudEvent": _HEADERS, **document.get("$defs", {})}


def _schema_ref(contract: type[Event]) -> Document:
    return _ref("components", "schemas", contract.__name__)


def _channel(bus: BusName, type_: str) -> str:
    return _ADDRESS[bus].format(type=type_)


def _ref(*steps: str) -> Document:
    return {"$ref": "#/" + "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)}
