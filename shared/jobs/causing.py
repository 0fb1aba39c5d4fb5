"""What a job causes: its outcome in, the envelopes to publish and what its hash keeps of them out."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from shared.clock import Clock
from shared.contracts import Envelope, Event, WrittenEvent, caused_id, encode_structured, wrap
from shared.jobs import keys, verdict
from shared.jobs.groups import GROUP_ID, OpenedGroup, encode_group, group_id, then_id
from shared.jobs.handlers import Handler
from shared.jobs.verdict import Outcome
from shared.telemetry import Tracing

CAUSED_MAX_BYTES = 8_000_000
EVENT_MAX_BYTES = 1_000_000
"""What a bus takes (NATS: its max_payload, 1 MiB): a larger event would be tried for ever."""
NAMED_MAX = 1000
"""How many caused events a job names; all of them are in the ledger."""
_BREATH = 500


class Caused(msgspec.Struct, frozen=True, kw_only=True):
    """The events that a job brought forth, and the group that they are, if it opened one."""

    events: Sequence[Envelope] = ()
    group: OpenedGroup | None = None
    whole: bytes = b""
    """The events as a CloudEvents JSON batch."""
    places: Mapping[str, str] = {}
    """Where each of the events was published."""

    @property
    def fields(self) -> list[str | bytes]:
        """What the job's hash gets: names for who looks, and all of it for the recorder."""
        fields: list[str | bytes] = []
        if self.events:
            named = [{"id": envelope.id, "type": envelope.type} for envelope in self.events[:NAMED_MAX]]
            fields += ("caused", msgspec.json.encode(named), "caused_events", self.whole)
            fields += ("caused_places", msgspec.json.encode(self.places))
        if self.group is not None:
            fields += ("group", encode_group(self.group))
        return fields


NOTHING = Caused()
"""What most jobs cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Causing:
    """Puts what handlers return into envelopes."""

    tracing: Tracing
    clock: Clock

    async def cause(self, handler: Handler, cause: Envelope, outcome: Outcome) -> tuple[Outcome, Caused]:
        """What the outcome causes, under ids that are the same on each run of the job.

        An outcome that causes more than can be kept is refused: it comes back as the job's death.
        """
        try:
            return await self._cause(handler, cause, outcome)
        except (AttributeError, TypeError, ValueError) as error:
            return verdict.refused(
                f"an event that {handler.name} returned cannot be published: {error}"
            ), NOTHING

    async def _cause(self, handler: Handler, cause: Envelope, outcome: Outcome) -> tuple[Outcome, Caused]:
        job_id = keys.job_id(handler.name, cause.id)
        group = self._group(handler, cause, job_id, outcome.then) if outcome.then is not None else None
        extensions = {GROUP_ID: group.id} if group else {}
        events: list[Envelope] = []
        documents: list[bytes] = []
        for event, event_id in _ids(job_id, outcome.events):
            events.append(self._wrap(handler, cause, event, event_id, extensions))
            documents.append(encode_structured(events[-1]))
            if len(events) % _BREATH == 0:
                await asyncio.sleep(0)
        fault = _fault(handler, documents)
        if fault:
            return verdict.refused(fault), NOTHING
        caused = Caused(events=events, group=group, whole=b"[" + b",".join(documents) + b"]")
        return (
            msgspec.structs.replace(outcome, result=_result(group, len(events))) if group else outcome
        ), caused

    def _group(
        self, handler: Handler, cause: Envelope, job_id: str, then: Event | WrittenEvent
    ) -> OpenedGroup:
        id_ = group_id(job_id)
        return OpenedGroup(id_, self._wrap(handler, cause, then, then_id(id_), {GROUP_ID: id_}))

    def _wrap(
        self,
        handler: Handler,
        cause: Envelope,
        event: Event | WrittenEvent,
        event_id: str,
        extensions: dict[str, str],
    ) -> Envelope:
        return wrap(
            event,
            id=event_id,
            source=f"/trunkline/{handler.service}",
            cause=cause,
            traceparent=self.tracing.create(event.type, event_id),
            now=self.clock.now(),
            extensions=extensions,
        )


def _ids(job_id: str, events: Sequence[Event | WrittenEvent]) -> Iterator[tuple[Event | WrittenEvent, str]]:
    counted: dict[str, int] = {}
    for event in events:
        n = counted[event.type] = counted.get(event.type, -1) + 1
        yield event, caused_id(job_id, event.type, n)


def _fault(handler: Handler, documents: Sequence[bytes]) -> str | None:
    largest, total = max(map(len, documents), default=0), sum(map(len, documents))
    if largest > EVENT_MAX_BYTES:
        return (
            f"an event that {handler.name} returned has {largest} bytes, {EVENT_MAX_BYTES} are allowed; "
            "store its data as a file and name its key"
        )
    if total > CAUSED_MAX_BYTES:
        return (
            f"the {len(documents)} events that {handler.name} returned have {total} bytes, "
            f"{CAUSED_MAX_BYTES} are allowed; return fewer, or smaller ones"
        )
    return None


def _result(group: OpenedGroup, members: int) -> bytes:
    then = {"id": group.then.id, "type": group.then.type}
    return msgspec.json.encode({"group": {"id": group.id, "members": members, "then": then}})
