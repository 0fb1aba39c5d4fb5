"""Which jobs a list shows, and from where on: parameters in, conditions on gateway.jobs out."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Column, ColumnElement, Text, bindparam, tuple_

from gateway.history.history_table import FINGERPRINT, INSTANT, JOBS
from shared.clock import from_rfc3339, rfc3339
from shared.jobs import State

SHORTEST_TEXT: Final = 3
"""What is searched for has at least so many characters: the index is made of runs of three."""
LONGEST_TEXT: Final = 200

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")


class Cursor(NamedTuple):
    """The last job of a page, by the instant that the list is sorted by; the next page begins after it."""

    at: datetime
    job_id: str

    def encode(self) -> str:
        """The cursor as clients carry it."""
        return urlsafe_b64encode(f"{rfc3339(self.at)} {self.job_id}".encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """What encode() wrote; ValueError for anything else."""
        try:
            plain = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            at, separator, job_id = plain.partition(" ")
            cursor = cls(from_rfc3339(at), job_id)
        except (Base64Error, ValueError) as error:
            raise ValueError("is no cursor of ours; take the `next` of a page") from error
        if not separator or "\0" in job_id or cursor.encode() != text:
            raise ValueError("is no cursor of ours; take the `next` of a page")
        return cursor


class Filter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which jobs a list shows; None lets all pass. `until` is exclusive.

    `since` and `until` are about the instant that the list is sorted by: queued_at, of dead letters
    finished_at.
    """

    state: State | None = None
    handler: str | None = None
    service: str | None = None
    event_id: UUID | None = None
    worker: str | None = None
    """The worker that has the job, or that had it last."""
    reason: str | None = None
    error: str | None = None
    """The type of the last failed attempt's error."""
    fingerprint: str | None = None
    """What jobs died of; only dead ones have one."""
    text: str | None = None
    """An id, or a part of what the job failed with; see `places_of`."""
    ids: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


_EQUAL: Final = {
    "handler": JOBS.c.handler,
    "service": JOBS.c.service,
    "event_id": JOBS.c.event_id,
    "worker": JOBS.c.worker,
    "reason": JOBS.c.reason,
    "error": JOBS.c.error_type,
    "fingerprint": FINGERPRINT,
}


def conditions(wanted: Filter, *, at: Column[Any]) -> list[ColumnElement[bool]]:
    """All of the filter but its text, as conditions; `at` is the instant that the list is sorted by."""
    found: list[ColumnElement[bool]] = []
    for name, column in _EQUAL.items():
        value = getattr(wanted, name)
        if value is not None:
            found.append(column == value)
    if wanted.state is not None:
        found.append(is_state(wanted.state))
    if wanted.error is not None:
        found.append(JOBS.c.failure.is_not(None))  # which has an index of its own
    if wanted.fingerprint is not None:
        found.append(is_state(State.DEAD))  # as its index has it
    if wanted.ids is not None:
        found.append(JOBS.c.id.in_(wanted.ids))
    if wanted.since is not None:
        found.append(at >= wanted.since)
    if wanted.until is not None:
        found.append(at < wanted.until)
    return found


def is_state(state: State) -> ColumnElement[bool]:
    """The state as a literal: with a parameter no plan may use the partial indexes of the states."""
    return JOBS.c.state == bindparam(None, state.value, Text, literal_execute=True)


def is_after(cursor: Cursor, *, at: Column[Any], newest_first: bool) -> ColumnElement[bool]:
    """What comes after the cursor in a list that is sorted by `at` and id."""
    here = tuple_(bindparam(None, cursor.at, INSTANT), bindparam(None, cursor.job_id, Text))
    place = tuple_(at, JOBS.c.id)
    return place < here if newest_first else place > here


def places_of(text: str) -> list[ColumnElement[bool]]:
    """Where the text may be found, each place with an index of its own.

    Whole ids of jobs, events and traces; any part of what a job failed with, upper and lower case alike.
    """
    places: list[ColumnElement[bool]] = [JOBS.c.failure.ilike(f"%{_literally(text)}%")]
    if ":" in text:
        places.append(JOBS.c.id == text)
    event_id = uuid_of(text)
    if event_id is not None:
        places.append(JOBS.c.event_id == event_id)
    if _TRACE_ID.fullmatch(text.lower()):
        places.append(JOBS.c.trace_id == text.lower())
    return places


def uuid_of(text: str) -> UUID | None:
    """The UUID that the text is; None for any other text."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _literally(text: str) -> str:
    """The text as a pattern that only itself fits."""
    return re.sub(r"([\\%_])", r"\\\1", text)
