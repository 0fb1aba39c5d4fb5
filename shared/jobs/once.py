"""Effects once: a job and an engine in, a transaction for its effect, or the outcome of an earlier one, out.

Effect, recorded outcome and the job's row in `inbox` are one commit. Whoever inserts the row first has the
effect; another attempt of the job (a zombie, the next owner, a run after Redis lost everything) waits for
that commit and then ends with what was recorded. So it does not matter which attempt is the current one in
Redis: an older attempt that commits first has done what the newer one would have done, the newer one takes
its outcome over, and the older one's ending is refused there.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
from sqlalchemy import CursorResult, Executable, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.contracts import Event, WrittenEvent
from shared.jobs import verdict
from shared.jobs.decided import Decided
from shared.jobs.states import State
from shared.jobs.verdict import Outcome

T = TypeVar("T")

_TAKE = text(
    "INSERT INTO inbox (job_id, attempt) VALUES (:job_id, :attempt) ON CONFLICT DO NOTHING RETURNING job_id"
)
_RECORD = text("UPDATE inbox SET outcome = CAST(:outcome AS json) WHERE job_id = :job_id")
_READ = text("SELECT outcome::text FROM inbox WHERE job_id = :job_id")

_LOCK_NOT_AVAILABLE = "55P03"
_WAIT = timedelta(seconds=2)
"""Between looks at a transaction that does not end; one that idles is ended by Postgres after 5 s."""


class Effect:
    """The transaction of a job's effect; committed when the block is left without an error."""

    def __init__(self, handler: str, connection: AsyncConnection) -> None:
        self.connection = connection
        self.recorded: Any = None
        """What was given to `outcome`."""
        self.outcome_json: bytes | None = None
        self._handler = handler

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | list[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run a statement in the transaction."""
        return await self.connection.execute(statement, parameters)

    def outcome(self, returned: T) -> T:
        """Record what the handler is about to return, and give it back.

        Snooze and Reject are no effect: with them all is rolled back and the job ends so.
        """
        decided = verdict.of_answer(self._handler, returned)
        if decided.state is not State.SUCCEEDED:
            raise Decided(decided)
        self.recorded, self.outcome_json = returned, _encode(decided)
        return returned


@asynccontextmanager
async def once(engine: AsyncEngine, *, handler: str, job_id: str, attempt: int) -> AsyncGenerator[Effect]:
    """The transaction, unless the job's effect was committed before: then Decided with its outcome.

    When another attempt is about to commit and takes longer than the engine's lock_timeout, the job is
    postponed for 2 s, which costs no attempt.
    """
    async with engine.begin() as connection:
        if not await _is_first(connection, job_id, attempt):
            recorded = (await connection.execute(_READ, {"job_id": job_id})).scalar_one()
            raise Decided(_decode(recorded))
        effect = Effect(handler, connection)
        yield effect
        if effect.outcome_json is not None:
            values = {"job_id": job_id, "outcome": effect.outcome_json.decode()}
            await connection.execute(_RECORD, values)


async def _is_first(connection: AsyncConnection, job_id: str, attempt: int) -> bool:
    """Whether the row is ours; waits for another transaction that has inserted it."""
    try:
        taken = await connection.execute(_TAKE, {"job_id": job_id, "attempt": attempt})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise Decided(Outcome(state=State.RETRYING, wait=_WAIT, counts=False)) from None
        raise
    return taken.scalar_one_or_none() is not None


class _Written(msgspec.Struct):
    type: str
    data: msgspec.Raw


class _Record(msgspec.Struct):
    events: list[_Written]
    then: _Written | None = None
    result: msgspec.Raw = msgspec.Raw(b"")


def _encode(outcome: Outcome) -> bytes:
    record: dict[str, Any] = {"events": [_written(event) for event in outcome.events]}
    if outcome.then is not None:
        record["then"] = _written(outcome.then)
    if outcome.result:
        record["result"] = msgspec.Raw(outcome.result)
    return msgspec.json.encode(record)


def _decode(recorded: str | None) -> Outcome:
    if recorded is None:
        return Outcome(state=State.SUCCEEDED)
    record = msgspec.json.decode(recorded, type=_Record)
    return Outcome(
        state=State.SUCCEEDED,
        result=bytes(record.result),
        events=[_event(event) for event in record.events],
        then=_event(record.then) if record.then is not None else None,
    )


def _written(event: Event | WrittenEvent) -> _Written:
    written = WrittenEvent.of(event)
    return _Written(written.type, msgspec.Raw(written.data))


def _event(written: _Written) -> WrittenEvent:
    return WrittenEvent(written.type, bytes(written.data))
