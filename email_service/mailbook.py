"""The book of mails: a job in, what is known about its mail out; `sending` is committed before SMTP.

(none), failed -> sending -> sent      the relay took it
                     |    -> bounced   the relay refused it for good
                     |    -> failed    the relay certainly does not have it
                     `- stays so       nobody noted what happened (crash, lost answer): an unknown outcome
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import CursorResult, Select, Update, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.dml import ReturningInsert

from email_service.mail import Mail
from email_service.tables import messages
from shared.errors import TrunklineError
from shared.jobs import Job

OnUnknown = Literal["resend", "hold"]

KEPT = timedelta(days=30)
BATCH = 1000

# Whoever works on a row just now keeps it. `sending` stays for ever: a person has to look at such a mail.
_FORGET = text("""
    DELETE FROM email.messages WHERE job_id IN (
        SELECT job_id FROM email.messages
        WHERE state <> 'sending' AND updated_at < now() - CAST(:age AS interval)
        ORDER BY updated_at LIMIT :batch FOR UPDATE SKIP LOCKED
    )
""")


class Superseded(TrunklineError):
    """A later attempt of the job is on its way with this mail; ours comes too late."""


@dataclass(frozen=True, slots=True)
class Sending:
    """The mail is ours to send. `unknown`: an earlier run had it, and nobody knows what came of it."""

    job_id: str
    run: int
    unknown: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """The relay took the mail in an earlier run."""

    relay_id: str


@dataclass(frozen=True, slots=True)
class Bounced:
    """The relay refused the mail in an earlier run."""

    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """Nobody knows whether the relay has the mail, and `hold` says that a person decides."""

    since: datetime


class MailBook:
    """Reads and writes email.messages; each method is one committed statement."""

    def __init__(
        self, engine: AsyncEngine, *, on_unknown: OnUnknown, kept: timedelta = KEPT, batch: int = BATCH
    ) -> None:
        self._engine = engine
        self._on_unknown: OnUnknown = on_unknown
        self._kept = kept
        self._batch = batch

    async def enter(self, job: Job, mail: Mail, *, time_limit: timedelta) -> Sending | Sent | Bounced | Held:
        """Commit that the mail is about to be sent, unless it is known to be sent, refused or held.

        Raises Superseded when a later attempt, no older than `time_limit`, has the mail now.
        """
        async with self._engine.begin() as connection:
            statement = _enter(job, mail, self._on_unknown, time_limit)
            entered = (await connection.execute(statement)).one_or_none()
            if entered is not None:
                return Sending(job.id, entered.run, entered.found == "sending", entered.created_at)
            known = (await connection.execute(_look_up(job.id))).one()
        if known.state == "sent":
            return Sent(known.relay_id)
        if known.state == "bounced":
            return Bounced(known.reason)
        may_be_alive = known.attempt > job.attempt and known.age < time_limit
        if may_be_alive or known.state == "failed":  # failed: it was given up between our two statements
            raise Superseded(f"attempt {known.attempt} has this mail, this is attempt {job.attempt}")
        return Held(known.updated_at)

    async def settled(self, job: Job) -> Sent | Bounced | None:
        """What came of the job's mail in an earlier run; None when it has to be sent (or held) still."""
        async with self._engine.begin() as connection:
            known = (await connection.execute(_look_up(job.id))).one_or_none()
        if known is None or known.state not in {"sent", "bounced"}:
            return None
        return Sent(known.relay_id) if known.state == "sent" else Bounced(known.reason)

    async def forget(self) -> int:
        """Remove what came to its end longer ago than it is kept, batch by batch; returns how many.

        A job that comes again after its row is gone sends its mail again.
        """
        total = 0
        while True:
            async with self._engine.begin() as connection:
                result: CursorResult[tuple[()]] = await connection.execute(
                    _FORGET, {"age": self._kept, "batch": self._batch}
                )
            total += result.rowcount
            if result.rowcount < self._batch:
                return total

    async def sent(self, sending: Sending, relay_id: str) -> bool:
        """The relay took the mail; False when a later run has the row, which is left as it is."""
        return await self._note(sending, state="sent", relay_id=relay_id, reason=None, sent_at=func.now())

    async def bounced(self, sending: Sending, reason: str) -> bool:
        """The relay refused the mail for good; False as above."""
        return await self._note(sending, state="bounced", reason=reason)

    async def failed(self, sending: Sending, reason: str) -> bool:
        """The relay certainly does not have the mail: the next run may send it; False as above."""
        return await self._note(sending, state="failed", reason=reason)

    async def _note(self, sending: Sending, **values: object) -> bool:
        async with self._engine.begin() as connection:
            result: CursorResult[tuple[()]] = await connection.execute(_close(sending).values(**values))
        return result.rowcount == 1


def _enter(
    job: Job, mail: Mail, on_unknown: OnUnknown, time_limit: timedelta
) -> ReturningInsert[Any, Any, Any]:
    statement = insert(messages).values(
        job_id=job.id,
        event_id=job.event_id,
        message_id=mail.message_id,
        recipient_sha256=hashlib.sha256(mail.to.lower().encode()).hexdigest(),
        state="sending",
        attempt=job.attempt,
        run=1,
        created_at=func.now(),
        updated_at=func.now(),
    )
    # A replayed job counts its attempts from 1 again: a smaller number alone does not make ours the older.
    may_be_alive = and_(messages.c.attempt > job.attempt, messages.c.updated_at > func.now() - time_limit)
    is_free = messages.c.state == "failed"
    if on_unknown == "resend":
        is_free = or_(is_free, and_(messages.c.state == "sending", ~may_be_alive))
    return statement.on_conflict_do_update(
        index_elements=[messages.c.job_id],
        set_={
            "state": "sending",
            "attempt": job.attempt,
            "run": messages.c.run + 1,
            "found": messages.c.state,
            "updated_at": func.now(),
        },
        where=is_free,
    ).returning(messages.c.run, messages.c.found, messages.c.created_at)


def _look_up(job_id: str) -> Select[Any, Any, Any, Any, Any, Any]:
    age = (func.now() - messages.c.updated_at).label("age")
    columns = messages.c
    return select(
        columns.state, columns.attempt, columns.relay_id, columns.reason, columns.updated_at, age
    ).where(columns.job_id == job_id)


def _close(sending: Sending) -> Update:
    return (
        update(messages)
        .where(
            messages.c.job_id == sending.job_id,
            messages.c.run == sending.run,
            messages.c.state == "sending",
        )
        .values(updated_at=func.now())
    )
