"""A job that ended without success in, the same job in its handler's queue again out."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from gateway.door.uuids import as_uuid
from gateway.history.history import History
from gateway.ledger.ledger import Entry, Ledger
from shared.contracts import encode_structured
from shared.jobs import GONE, JobControl


class KeptEvent(NamedTuple):
    """An event as CloudEvents JSON, and its traceparent; empty when nobody has it."""

    event: bytes
    traceparent: str


NOT_KEPT: Final = KeptEvent(b"", "")


class RunAgain:
    """Finds the job's event wherever it is kept: in Redis, in the ledger, in the dead letter."""

    def __init__(self, control: JobControl, ledger: Ledger, history: History) -> None:
        self._control = control
        self._ledger = ledger
        self._history = history

    async def reopen(self, jobs: Iterable[dict[str, Any]]) -> None:
        """To be done before they are queued: else nobody would look after them, should Redis be lost."""
        ids = [id_ for job in jobs if (id_ := as_uuid(job["event_id"])) is not None]
        await self._ledger.reopen(ids)

    async def kept(self, jobs: Iterable[dict[str, Any]]) -> dict[str, KeptEvent]:
        """The events of these jobs that the ledger has, by id; for `queue`, where there are many."""
        ids = [id_ for job in jobs if (id_ := as_uuid(job["event_id"])) is not None]
        return {one.envelope.id: _kept(one) for one in await self._ledger.find_all(ids)}

    async def queue(self, job: dict[str, Any], *, replay_id: str = "", kept: KeptEvent = NOT_KEPT) -> str:
        """The state of the job now, as JobControl.replay tells it. Harmless to repeat with a `replay_id`.

        Where Redis has forgotten the job's event it is taken from `kept`, else from where it may be.
        """
        state = await self._order(job, replay_id, kept)
        if state != GONE:
            return state
        return await self._order(job, replay_id, await self._kept_event(job))

    async def _order(self, job: dict[str, Any], replay_id: str, kept: KeptEvent) -> str:
        return await self._control.replay(
            job["handler"],
            job["event_id"],
            event_type=job["event_type"],
            service=job["service"],
            max_attempts=job["max_attempts"],
            event=kept.event,
            traceparent=kept.traceparent,
            attempts=job["attempts"],
            replay_id=replay_id,
        )

    async def _kept_event(self, job: dict[str, Any]) -> KeptEvent:
        """The job's event in the ledger or in the dead letter; NOT_KEPT when nobody has it."""
        event_id = as_uuid(job["event_id"])
        entry = await self._ledger.find(event_id) if event_id else None
        if entry is not None:
            return _kept(entry)
        letter = await self._history.dead_letter(job["id"])
        if not letter or not letter["event"]:
            return NOT_KEPT
        event: dict[str, Any] = msgspec.json.decode(letter["event"])
        return KeptEvent(bytes(letter["event"]), str(event.get("traceparent", "")))


def _kept(entry: Entry) -> KeptEvent:
    return KeptEvent(encode_structured(entry.envelope), entry.envelope.traceparent or "")
