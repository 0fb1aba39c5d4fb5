"""A contract as JSON Schema; two versions of one in, what the newer would break for its users out."""

from collections.abc import Iterator
from typing import Any

from shared.contracts import Event

Schema = dict[str, Any]

# What narrows the values that are allowed.
_LIMITS = ("type", "anyOf", "pattern", "minLength", "maxLength", "minimum", "maximum", "enum", "format")


def schema_of(contract: type[Event]) -> Schema:
    """The JSON Schema of the contract's data."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **contract.model_json_schema()}


def breaking_changes(published: Schema, present: Schema) -> Iterator[str]:
    """What producers or consumers of the published contract would stumble over."""
    old, new = published.get("properties", {}), present.get("properties", {})
    for name in old.keys() - new.keys():
        yield f"{name} is gone"
    for name in set(present.get("required", ())) - set(published.get("required", ())):
        yield f"{name} is required now"
    for name in old.keys() & new.keys():
        for limit in _LIMITS:
            if old[name].get(limit) != new[name].get(limit):
                yield f"{name}: {limit} was {old[name].get(limit)!r}, is {new[name].get(limit)!r}"
