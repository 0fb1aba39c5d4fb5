"""An event as the gateway shows it in, the CloudEvent out, and the request that publishes it; pure."""

import shlex
from collections.abc import Mapping
from typing import Any, Final

import msgspec

_FIRST: Final = ("specversion", "id", "source", "type", "subject", "time", "datacontenttype")
_DATA: Final = ("data", "data_base64")
# The gateway gives these to what it accepts; a request that names them is refused or joins another's tree.
_NOT_SENT: Final = frozenset({"handler", "traceparent", "tracestate", "correlationid", "causationid"})
_URL: Final = "${TRUNKLINE_URL:-http://127.0.0.1:8000}"


def of_view(view: Mapping[str, Any]) -> dict[str, Any]:
    """The CloudEvent that GET /v1/events/{id} tells of."""
    named = {name: view.get(name) for name in ("id", "source", "type", "subject", "time", *_DATA)}
    whole = {"specversion": "1.0"} | dict(view.get("attributes") or {}) | named
    return {name: value for name, value in whole.items() if value is not None}


def attributes_of(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What it says besides its data, the best known first."""
    rest = sorted(name for name in event if name not in _FIRST and name not in _DATA)
    return [(name, str(event[name])) for name in (*_FIRST, *rest) if event.get(name) is not None]


def curl_of(event: Mapping[str, Any]) -> str:
    """The request that made the event, for a shell; the key is taken from the environment.

    An event for one handler alone was made by POST /v1/jobs.
    """
    if "handler" in event and "data" in event:
        body = {"handler": event["handler"], "id": event.get("id"), "data": event["data"]}
        return _curl("/v1/jobs", "application/json", body)
    sent = {
        name: event[name] for name in (*_FIRST, *sorted(event)) if name in event and name not in _NOT_SENT
    }
    data = {name: sent.pop(name) for name in _DATA if name in sent}
    return _curl("/v1/events", "application/cloudevents+json", sent | data)


def _curl(path: str, media_type: str, body: object) -> str:
    document = shlex.quote(msgspec.json.format(msgspec.json.encode(body), indent=2).decode())
    return (
        f'curl -i "{_URL}{path}" \\\n'
        '  -H "Authorization: Bearer $TRUNKLINE_API_KEY" \\\n'
        f"  -H 'Content-Type: {media_type}' \\\n"
        f"  --data-raw {document}"
    )
