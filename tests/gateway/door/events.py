"""Events as other systems send them to the door."""

from typing import Any

from shared.contracts import EmailRequested, Envelope, Event, UserRegistered, wrap

ADA = {"user_id": "u-1", "name": "Ada Lovelace", "email": "ada@example.com"}


def binary(**changes: str | None) -> dict[str, str]:
    """The headers of an event in binary mode; None leaves one out."""
    headers: dict[str, str | None] = {
        "ce-specversion": "1.0",
        "ce-id": "a-1",
        "ce-source": "/shop",
        "ce-type": "user.registered",
        "content-type": "application/json",
    }
    for name, value in changes.items():
        headers[name.replace("_", "-")] = value
    return {name: value for name, value in headers.items() if value is not None}


def structured(**changes: Any) -> dict[str, Any]:
    """An event as one JSON document."""
    return {
        "specversion": "1.0",
        "id": "a-1",
        "source": "/shop",
        "type": "user.registered",
        "data": ADA,
    } | changes


def registered(number: int = 1) -> Envelope:
    """A user was registered, ready for the ledger."""
    return _wrapped(UserRegistered(user_id=f"u-{number}", name="Ada", email="ada@example.com"))


def requested(number: int = 1) -> Envelope:
    """A mail was requested, ready for the ledger."""
    return _wrapped(
        EmailRequested(email_id=f"m-{number}", to="ada@example.com", subject="Hello", text="Good morning.")
    )


def _wrapped(event: Event) -> Envelope:
    return wrap(event, source="/shop")
