"""Groups: events that are caused together, and the one that follows when all of them are done with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec

from shared.contracts import Envelope, Event, decode_structured, encode_structured

MEMBERS_MAX = 10_000
"""How many events a group may have."""

GROUP_ID = "groupid"
"""Extension of a group's events and of the one that follows: the group's id."""
GROUP_SIZE = "groupsize"
"""Extension of the event that follows: how many events the group had."""
GROUP_FAILED = "groupfailed"
"""Extension of the event that follows: how many of these have a job that did not succeed."""

_GROUPS = UUID("1d0a3c52-7a1e-5f57-9c3a-2f6a1b7f4e90")


@dataclass(frozen=True, slots=True)
class Group:
    """What a handler returns to fan out and in: `events` now, `then` when the jobs of each have ended.

    However they end: succeeded, dead, cancelled or expired; `job.group` tells the handler of `then`. Without
    events it follows at once. At most 10,000 events, 8 MB together.
    """

    events: Sequence[Event]
    then: Event


@dataclass(frozen=True, slots=True)
class GroupEnd:
    """How a group ended: of its `size` events, `failed` have a job that did not succeed."""

    id: str
    size: int
    failed: int


class OpenedGroup(NamedTuple):
    """A group as its opener's job keeps it; its events are all that the job caused."""

    id: str
    then: Envelope


def group_id(job_id: str) -> str:
    """The id of the group that a job opens: the same on each run of the job."""
    return str(uuid5(_GROUPS, job_id))


def then_id(group: str) -> str:
    """The id of the event that follows the group: it is one, whoever publishes it and however often."""
    return str(uuid5(UUID(group), "then"))


def group_end(envelope: Envelope) -> GroupEnd | None:
    """How the group ended that this event follows; None for any other event."""
    attributes = envelope.attributes
    size, failed = attributes.get(GROUP_SIZE, ""), attributes.get(GROUP_FAILED, "")
    if not (size.isdecimal() and failed.isdecimal()):
        return None
    return GroupEnd(attributes.get(GROUP_ID, ""), int(size), int(failed))


def encode_group(group: OpenedGroup) -> bytes:
    """The group as JSON."""
    return msgspec.json.encode({"id": group.id, "then": msgspec.Raw(encode_structured(group.then))})


def decode_group(document: bytes) -> OpenedGroup:
    """What encode_group() wrote; EnvelopeError or msgspec.DecodeError for anything else."""
    kept = _kept.decode(document)
    return OpenedGroup(kept.id, decode_structured(bytes(kept.then)))


class _Kept(msgspec.Struct, frozen=True):
    id: str
    then: msgspec.Raw


_kept = msgspec.json.Decoder(_Kept)
