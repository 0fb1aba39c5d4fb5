"""Answers to requests with an Idempotency-Key, in Postgres: kept in the transaction of what they tell of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.door.idempotency_key import KeyedRequest

_LOCK: Final = text("SELECT pg_try_advisory_xact_lock(:id)")
_FIND: Final = text("""
    SELECT fingerprint, status, headers::text, body FROM gateway.idempotency_keys
    WHERE principal = :principal AND key = :key AND expires_at > now()
""")
# Only an expired answer is replaced. Where another one stands, no row comes back: nothing may be committed.
_KEEP: Final = text("""
    INSERT INTO gateway.idempotency_keys AS kept
        (principal, key, fingerprint, status, headers, body, expires_at)
    VALUES (:principal, :key, :fingerprint, :status, :headers, :body, now() + CAST(:ttl AS interval))
    ON CONFLICT (principal, key) DO UPDATE SET
        fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers,
        body = excluded.body, created_at = excluded.created_at, expires_at = excluded.expires_at
    WHERE kept.expires_at <= now()
    RETURNING key
""")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as the routes gave it; what the server or the trace adds is not in it."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer, and the fingerprint of the request that got it."""

    fingerprint: bytes
    answer: Answer


async def lock(connection: AsyncConnection, request: KeyedRequest) -> bool:
    """Whether this transaction is the only one with the key; if so, until it ends. Never waits."""
    digest = sha256(request.principal + b"\0" + request.key.encode()).digest()
    row = await connection.execute(_LOCK, {"id": int.from_bytes(digest[:8], "big", signed=True)})
    return bool(row.scalar_one())


async def find(connection: AsyncConnection, request: KeyedRequest) -> KeptAnswer | None:
    """The answer that the key has; None when it has none, or an expired one.

    To be asked after `lock`, as a statement of its own: what was committed before the lock was had is seen.
    """
    result = await connection.execute(_FIND, {"principal": request.principal, "key": request.key})
    row = result.one_or_none()
    if row is None:
        return None
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in _decode(row.headers)]
    return KeptAnswer(row.fingerprint, Answer(row.status, headers, row.body))


async def keep(connection: AsyncConnection, request: KeyedRequest, answer: Answer, *, ttl: timedelta) -> None:
    """Keep the answer in the caller's transaction; NoResultFound when the key has one already."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
    result = await connection.execute(
        _KEEP,
        {
            "principal": request.principal,
            "key": request.key,
            "fingerprint": request.fingerprint,
            "status": answer.status,
            "headers": _encode(headers).decode(),
            "body": answer.body,
            "ttl": ttl,
        },
    )
    result.one()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[tuple[str, str]]).decode
