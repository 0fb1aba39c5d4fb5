"""The page of all events, from their contracts and the handlers of the services."""

import inspect
from typing import Any

from docs.schemas import schema_of
from email_service.handlers import handlers as email_handlers
from shared.bus import Routes
from shared.contracts import CATALOGUE, Event
from shared.settings import Settings

_HEAD = """# Events

Written by `make docs` from the contracts; do not edit. Every event is a CloudEvent 1.0.2. `id` is a UUID (another id is
kept as `originalid` and becomes `uuid5` of source and id), `traceparent` is the context of its creation,
`correlationid` is kept through a chain of events, `causationid` is the event that caused this one.

## From other systems

| door | binary | structured | plain |
|---|---|---|---|
| Redis Streams | `XADD events:<type> *`, a field for each attribute (`ce-id`, `ce-source`, ..., `content-type`, `traceparent`) and `data` | `data` = CloudEvents JSON, `content-type` = `application/cloudevents+json` | `data` alone: id, source, type and time are filled in |
| NATS | subject `events.<type>`, headers `ce-id`, `ce-datacontenttype`, ... | `Content-Type: application/cloudevents+json` | a body alone |
| HTTP | `POST /v1/events` with headers `ce-...` | the same content type | - |

What is no event, or breaks its contract, becomes a dead letter of each handler that got it. Over HTTP it is refused.

"""


def events_page() -> str:
    """The page as Markdown."""
    settings = Settings.model_construct()
    routes = Routes.parse(settings.bus_routes, settings.buses)
    return _HEAD + "\n".join(_event(contract, routes) for contract in CATALOGUE)


def _event(contract: type[Event], routes: Routes) -> str:
    names = [handler.name for handler in email_handlers if handler.contract is contract]
    handled = ", ".join(f"`{name}`" for name in names) or "nobody yet"
    buses = " and ".join(routes.buses_for(contract.type))
    schema = schema_of(contract)
    required = set(schema.get("required", ()))
    lines = [
        f"## {contract.type}",
        "",
        f"{inspect.getdoc(contract)} Published on {buses} by default; handled by {handled}.",
        f"Schema: [schemas/{contract.type}.json](schemas/{contract.type}.json).",
        "",
        "| field | type | |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {_type(field)} | {'required' if name in required else 'optional'} |"
        for name, field in schema["properties"].items()
    ]
    return "\n".join([*lines, ""])


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(one) for one in field["anyOf"])
    limits = [f"at most {field['maxLength']} characters"] if "maxLength" in field else []
    return ", ".join([str(field.get("type", "any")), *limits])
