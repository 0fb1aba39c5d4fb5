"""A job that ended without success in, the same job in its handler's queue again out."""

from typing import Any

import msgspec

from gateway.history import History
from gateway.ledger import Ledger
from gateway.uuids import as_uuid
from shared.contracts import encode_structured
from shared.jobs import GONE, JobControl


class RunAgain:
    """Finds the job's event wherever it is kept: in Redis, in the ledger, in the dead letter."""

    def __init__(self, control: JobControl, ledger: Ledger, history: History) -> None:
        self._control = control
        self._ledger = ledger
        self._history = history

    async def queue(self, job: dict[str, Any], *, replay_id: str = "") -> str:
        """The state of the job now, as JobControl.replay tells it. Harmless to repeat with a `replay_id`."""
        order: dict[str, Any] = {
            "event_type": job["event_type"],
            "service": job["service"],
            "max_attempts": job["max_attempts"],
            "replay_id": replay_id,
        }
        state = await self._control.replay(job["handler"], job["event_id"], **order)
        if state != GONE:
            return state
        event, traceparent = await self._kept_event(job)
        known = {"event": event, "traceparent": traceparent, "attempts": job["attempts"]}
        return await self._control.replay(job["handler"], job["event_id"], **order, **known)

    async def _kept_event(self, job: dict[str, Any]) -> tuple[bytes, str]:
        """The job's event as CloudEvents JSON, and its traceparent; empty when nobody has it."""
        event_id = as_uuid(job["event_id"])
        entry = await self._ledger.find(event_id) if event_id else None
        if entry is not None:
            return encode_structured(entry.envelope), entry.envelope.traceparent or ""
        letter = await self._history.dead_letter(job["id"])
        if not letter or not letter["event"]:
            return b"", ""
        event: dict[str, Any] = msgspec.json.decode(letter["event"])
        return bytes(letter["event"]), str(event.get("traceparent", ""))
