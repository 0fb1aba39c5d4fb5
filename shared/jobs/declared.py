"""A handler's return annotation in, the types of the events that it can cause out."""

from typing import Any, get_args

from shared.contracts import Event


def event_types_in(annotation: Any) -> list[str]:
    """Of `EmailSent | Snooze | None` it is `["email.sent"]`; of what names no contract, none.

    A Group does not say in its type what is in it.
    """
    return sorted(set(_found(annotation)))


def _found(annotation: Any) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, Event):
        return [annotation.type] if hasattr(annotation, "type") else []
    return [type_ for part in get_args(annotation) for type_ in _found(part)]
