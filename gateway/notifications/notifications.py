"""Notifications in Postgres: who is told what in, a row beside its event out; a user's list, with a cache."""

from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.door.uuids import as_uuid
from gateway.notifications.cache import PageCache
from shared.clock import rfc3339
from shared.contracts import EmailRequested

PAGE: Final = 50
"""How long a page is unless the caller says otherwise; the first such page is kept in the cache."""

_BY_ID: Final = text("SELECT id::text, email FROM gateway.users WHERE id = :id")
_BY_EMAIL: Final = text("SELECT id::text, email FROM gateway.users WHERE email_key = :email")
_INSERT: Final = text("""
    INSERT INTO gateway.notifications (id, user_id, email, subject, event_id)
    VALUES (:id, :user_id, :email, :subject, :event_id)
""")
_PAGE: Final = """
    SELECT id::text, subject, event_id::text, created_at FROM gateway.notifications
    WHERE user_id = :user_id {after} ORDER BY id DESC LIMIT :limit
"""
_FIRST_PAGE: Final = text(_PAGE.format(after=""))
_NEXT_PAGE: Final = text(_PAGE.format(after="AND id < :after"))


class Recipient(NamedTuple):
    """Who is told; `user_id` None: an address that is no user's."""

    user_id: str | None
    email: str


async def recipient(
    connection: AsyncConnection, *, user_id: str | None, email: str | None
) -> Recipient | None:
    """The user of this id, or the address, with its user where it is one's; None for an unknown user."""
    if email is not None:
        row = (await connection.execute(_BY_EMAIL, {"email": email.casefold()})).one_or_none()
        return Recipient(row.id if row else None, email)
    id_ = as_uuid(user_id or "")
    row = (await connection.execute(_BY_ID, {"id": id_})).one_or_none() if id_ else None
    return Recipient(row.id, row.email) if row else None


async def enter(
    connection: AsyncConnection, mail: EmailRequested, *, user_id: str | None, event_id: str
) -> None:
    """Enter the notification in the caller's transaction, that of its event; its id is the mail's."""
    values: dict[str, Any] = {
        "id": mail.email_id,
        "user_id": user_id,
        "email": mail.to,
        "subject": mail.subject,
        "event_id": event_id,
    }
    await connection.execute(_INSERT, values)


class Notifications:
    """What users were told; raises what SQLAlchemy raises when Postgres is away."""

    def __init__(self, engine: AsyncEngine, cache: PageCache) -> None:
        self._reads = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.cache = cache

    async def page(self, user_id: str, *, after: str | None, limit: int) -> bytes | None:
        """A page of a user's notifications as JSON, newest first; None when there is no such user.

        The first page of the usual length is up to 30 s old when a drop of the cache was lost.
        """
        is_kept = after is None and limit == PAGE
        if is_kept and (kept := await self.cache.get(user_id)) is not None:
            return kept
        page = await self._read(user_id, after=after, limit=limit)
        if page is not None and is_kept:
            await self.cache.keep(user_id, page)
        return page

    async def _read(self, user_id: str, *, after: str | None, limit: int) -> bytes | None:
        values = {"user_id": user_id, "limit": limit + 1}
        async with self._reads.connect() as connection:
            if (await connection.execute(_BY_ID, {"id": user_id})).one_or_none() is None:
                return None
            if after is None:
                rows = (await connection.execute(_FIRST_PAGE, values)).all()
            else:
                rows = (await connection.execute(_NEXT_PAGE, {**values, "after": after})).all()
        items = [
            {
                "id": row.id,
                "subject": row.subject,
                "event_id": row.event_id,
                "created_at": rfc3339(row.created_at),
            }
            for row in rows[:limit]
        ]
        return msgspec.json.encode(
            {"items": items, "next": rows[limit - 1].id if len(rows) > limit else None}
        )
