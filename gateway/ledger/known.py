"""Events that come in, and those known under their ids: each is new, the same again, or another."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from shared.contracts import HANDLER, Envelope
from shared.errors import TrunklineError


class IdTaken(TrunklineError):
    """An event of the same id, but with another type, source or data, was accepted before."""

    def __init__(self, id_: str) -> None:
        super().__init__(f"the id {id_} belongs to another event")
        self.id = id_


class Accepted(NamedTuple):
    """The event as it is committed; of a duplicate, `envelope` is what came the first time."""

    envelope: Envelope
    is_duplicate: bool


def answers_to(
    envelopes: Sequence[Envelope], new: set[str], stored: dict[str, Envelope]
) -> list[Accepted | IdTaken]:
    """What became of each: the first of a new id is accepted, any other is compared with it."""
    answers: list[Accepted | IdTaken] = []
    seen = dict(stored)
    for envelope in envelopes:
        first = seen.setdefault(envelope.id, envelope)
        if envelope.id in new:
            new.discard(envelope.id)
            answers.append(Accepted(first, is_duplicate=False))
        elif _is_same(first, envelope):
            answers.append(Accepted(first, is_duplicate=True))
        else:
            answers.append(IdTaken(envelope.id))
    return answers


def unless_taken(answer: Accepted | IdTaken) -> Accepted:
    """The accepted event; raises what says that its id is another's."""
    if isinstance(answer, IdTaken):
        raise answer
    return answer


def _is_same(one: Envelope, other: Envelope) -> bool:
    if (one.type, one.source) != (other.type, other.source):
        return False
    if one.attributes.get(HANDLER) != other.attributes.get(HANDLER):
        return False
    return one.data == other.data or _is_same_json(one.data, other.data)


def _is_same_json(one: bytes, other: bytes) -> bool:
    """White space and the order of members do not make another event."""
    try:
        return bool(msgspec.json.decode(one) == msgspec.json.decode(other))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
