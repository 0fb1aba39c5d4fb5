"""A webhook's message: an event in, body and signed headers out, as https://www.standardwebhooks.com says."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from standardwebhooks import Webhook as Secret

from shared.contracts import Event

_PREFIX = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted. The id is the same in each attempt, so that a receiver knows a message that it has."""

    id: str
    body: str

    @classmethod
    def of(cls, event: Event, *, event_id: str, said_at: str) -> "Message":
        """The event, told to somebody outside; `said_at` (RFC 3339) is when it came about."""
        data = msgspec.Raw(event.__pydantic_serializer__.to_json(event))
        body = {"type": event.type, "timestamp": said_at, "data": data}
        return cls(event_id, msgspec.json.encode(body).decode())


class Signer:
    """Signs with each of the secrets: while one follows another, receivers may know either."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = [Secret(secret) for secret in secrets]

    def headers(self, message: Message, now: datetime) -> dict[str, str]:
        """The headers of an attempt at this instant."""
        signed = [secret.sign(message.id, now, message.body) for secret in self._secrets]
        return {
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signed),
        }


def parse_secrets(text: str) -> tuple[str, ...]:
    """The secrets in `whsec_...,whsec_...`; ValueError, which does not repeat them, when one is none."""
    secrets = tuple(part.strip() for part in text.split(","))
    for secret in secrets:
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not secret.startswith(_PREFIX) or not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
            raise ValueError(f"give whsec_ and {_LEAST_BYTES} to {_MOST_BYTES} random bytes in base64")
    return secrets
