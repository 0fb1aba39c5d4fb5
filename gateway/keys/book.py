"""The book of stored keys: a connection in, keys as Postgres has them out. A change leaves an audit line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from sqlalchemy import LargeBinary, RowMapping, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.door.keys import Key, Scope, Source

_COLUMNS: Final = "id, name, digest, scopes, created_at, created_by, expires_at, revoked_at, last_used_at"
_ADD: Final = text(f"""
    INSERT INTO gateway.api_keys (id, name, digest, scopes, created_by, expires_at)
    VALUES (CAST(:id AS uuid), :name, :digest, :scopes, :created_by, :expires_at)
    ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING
    RETURNING {_COLUMNS}
""").bindparams(bindparam("scopes", type_=ARRAY(Text)))  # noqa: S608 - our own names
_REVOKE: Final = text("""
    UPDATE gateway.api_keys SET revoked_at = now()
    WHERE id = CAST(:id AS uuid) AND revoked_at IS NULL RETURNING name
""")
_FIND: Final = text(f"SELECT {_COLUMNS} FROM gateway.api_keys WHERE id = CAST(:id AS uuid)")  # noqa: S608 - our own names
_PAGE: Final = text(f"""
    SELECT {_COLUMNS} FROM gateway.api_keys WHERE CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)
    ORDER BY id DESC LIMIT :limit
""")  # noqa: S608 - our own names
_VALID: Final = text(f"""
    SELECT {_COLUMNS} FROM gateway.api_keys
    WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
""")  # noqa: S608 - our own names
_OF_DIGESTS: Final = text(f"""
    SELECT {_COLUMNS} FROM gateway.api_keys WHERE digest = ANY(:digests)
""").bindparams(bindparam("digests", type_=ARRAY(LargeBinary)))  # noqa: S608 - our own names
_NOTE_USES: Final = text("""
    UPDATE gateway.api_keys SET last_used_at = greatest(last_used_at, used.at)
    FROM unnest(CAST(:ids AS uuid[]), :instants) AS used (id, at) WHERE api_keys.id = used.id
""").bindparams(bindparam("instants", type_=ARRAY(TIMESTAMP(timezone=True))))
_AUDIT: Final = text("""
    INSERT INTO gateway.audit (actor, action, target, trace_id) VALUES (:actor, :action, :target, :trace_id)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A key as the book has it; the key itself is nowhere."""

    id: str
    name: str
    digest: bytes
    scopes: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """A row of the table."""
        values: dict[str, Any] = {**row, "id": str(row["id"]), "scopes": tuple(row["scopes"])}
        return cls(**values)

    def key(self) -> Key:
        """What the door needs to know of it."""
        return Key(
            id=self.id,
            name=self.name,
            digest=self.digest,
            scopes=frozenset(Scope(scope) for scope in self.scopes),
            source=Source.STORED,
            expires_at=self.expires_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who changes the book: the caller's name, how its key's SHA-256 begins, the request's trace."""

    name: str
    actor: str
    trace_id: str | None


async def add(
    connection: AsyncConnection,
    *,
    id_: str,
    name: str,
    digest: bytes,
    scopes: Sequence[Scope],
    expires_at: datetime | None,
    by: By,
) -> StoredKey | None:
    """Enter a key; None when one that is not revoked has the name."""
    values = {
        "id": id_,
        "name": name,
        "digest": digest,
        "scopes": [str(scope) for scope in scopes],
        "created_by": by.name,
        "expires_at": expires_at,
    }
    row = (await connection.execute(_ADD, values)).mappings().one_or_none()
    if row is None:
        return None
    await _note(connection, "key.created", id_, by)
    return StoredKey.of(row)


async def revoke(connection: AsyncConnection, id_: str, by: By) -> str | None:
    """End a key; its name, or None when there is none of the id or it was revoked before."""
    name = (await connection.execute(_REVOKE, {"id": id_})).scalar_one_or_none()
    if name is not None:
        await _note(connection, "key.revoked", id_, by)
    return name


async def find(connection: AsyncConnection, id_: str) -> StoredKey | None:
    """The key of the id, also when it is revoked."""
    row = (await connection.execute(_FIND, {"id": id_})).mappings().one_or_none()
    return None if row is None else StoredKey.of(row)


async def page(connection: AsyncConnection, *, before: str | None, limit: int) -> list[StoredKey]:
    """Keys made before that of the id `before`, the newest first."""
    return await _keys(connection, _PAGE, {"before": before, "limit": limit})


async def valid(connection: AsyncConnection) -> list[StoredKey]:
    """All keys that are let in."""
    return await _keys(connection, _VALID, {})


async def of_digests(connection: AsyncConnection, digests: Sequence[bytes]) -> list[StoredKey]:
    """The keys with these SHA-256, also those that are revoked or expired."""
    return await _keys(connection, _OF_DIGESTS, {"digests": digests})


async def note_uses(connection: AsyncConnection, uses: Mapping[str, datetime]) -> None:
    """When keys were used last, by their ids."""
    ids = sorted(uses)
    await connection.execute(_NOTE_USES, {"ids": ids, "instants": [uses[id_] for id_ in ids]})


async def _keys(connection: AsyncConnection, statement: Any, values: dict[str, Any]) -> list[StoredKey]:
    return [StoredKey.of(row) for row in (await connection.execute(statement, values)).mappings()]


async def _note(connection: AsyncConnection, action: str, id_: str, by: By) -> None:
    """In the commit of what it tells of."""
    values = {"actor": by.actor, "action": action, "target": id_, "trace_id": by.trace_id}
    await connection.execute(_AUDIT, values)
