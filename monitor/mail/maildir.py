"""A Maildir in, its newest mails by name out.

A mail's id is its file's name without the flags behind ":2,", and is only ever looked up among the names that
are there: no path is made of what somebody asks for.
"""

import heapq
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

_FOLDERS: Final = ("new", "cur")
_FLAGS: Final = ":2,"


class Stored(NamedTuple):
    """A mail on the disk."""

    id: str
    path: Path
    size_bytes: int
    arrived_at: datetime


def newest(folder: Path, most: int) -> Sequence[tuple[str, Path]]:
    """Ids and files of the newest mails, the newest first: names of a Maildir begin with the time.

    None where there is no Maildir (yet).
    """
    return heapq.nlargest(most, dict(_names(folder)).items())


def find(folder: Path, mail_id: str) -> Stored | None:
    """The mail; None when there is none of that id."""
    path = next((path for id_, path in _names(folder) if id_ == mail_id), None)
    return look(mail_id, path) if path is not None else None


def look(mail_id: str, path: Path) -> Stored | None:
    """The mail with what its file says; None when that was removed meanwhile."""
    try:
        seen = path.lstat()
    except OSError:
        return None
    return Stored(mail_id, path, seen.st_size, datetime.fromtimestamp(seen.st_mtime, tz=UTC))


def read(stored: Stored, most_bytes: int) -> bytes | None:
    """The beginning of the mail; None when it was removed meanwhile."""
    try:
        with stored.path.open("rb") as file:
            return file.read(most_bytes)
    except OSError:
        return None


def _names(folder: Path) -> Iterator[tuple[str, Path]]:
    """Id and file of each mail; no folders, links, or names that no browser could send back."""
    for part in _FOLDERS:
        with suppress(OSError), os.scandir(folder / part) as entries:
            for entry in entries:
                is_name = entry.name.isprintable() and not entry.name.startswith(".")
                if is_name and entry.is_file(follow_symlinks=False):
                    yield entry.name.partition(_FLAGS)[0], Path(entry.path)
