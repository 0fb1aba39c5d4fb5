"""A path in, an open traces.sqlite of this version out; an unusable file is set aside, never deleted."""

import fcntl
import os
import sqlite3
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

VERSION = 1
"""PRAGMA user_version of the schema below; a file of another version is set aside."""

_BUSY_S = 5.0

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN})
_PRIMARY_CODE = 0xFF  # the low byte of an extended result code

_SCHEMA = f"""
BEGIN;
CREATE TABLE resources (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    tags BLOB NOT NULL,            -- JSON, see span.Tag
    seen_at_us INTEGER NOT NULL,
    UNIQUE (service, tags)
);
CREATE TABLE operations (
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    seen_at_us INTEGER NOT NULL,
    PRIMARY KEY (service, name, kind)
) WITHOUT ROWID;
CREATE TABLE spans (
    id INTEGER PRIMARY KEY,
    trace_id BLOB NOT NULL,
    span_id BLOB NOT NULL,
    parent_id BLOB,
    resource_id INTEGER NOT NULL,
    service TEXT NOT NULL,
    operation TEXT NOT NULL,
    kind TEXT NOT NULL,
    start_us INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    is_error INTEGER NOT NULL,
    details BLOB NOT NULL,         -- JSON, see span.Details
    UNIQUE (trace_id, span_id)     -- an exporter that retries sends copies
);
CREATE TABLE traces (
    trace_id BLOB PRIMARY KEY,
    start_us INTEGER NOT NULL,
    end_us INTEGER NOT NULL,
    received_at_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX traces_newest ON traces (start_us, trace_id);
CREATE INDEX traces_oldest ON traces (received_at_us);
CREATE TABLE parts (               -- what one service did in one trace: an index entry a trace, not a span
    trace_id BLOB NOT NULL,
    service TEXT NOT NULL,
    start_us INTEGER NOT NULL,
    end_us INTEGER NOT NULL,
    PRIMARY KEY (trace_id, service)
) WITHOUT ROWID;
CREATE INDEX parts_newest ON parts (service, start_us, trace_id);
PRAGMA user_version = {VERSION};
COMMIT;
"""


class FileInUse(Exception):
    """Another monitor writes to this folder."""


class FolderLock:
    """Keeps a second monitor out of the folder; the kernel lets go of it when the process dies."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise FileInUse(f"{folder} is in use by another monitor") from error

    def release(self) -> None:
        """Let another monitor in."""
        os.close(self._fd)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The one connection that writes; a damaged file or one of another version makes room for a fresh one."""
    try:
        return _open(path)
    except _OtherVersion as other:
        _set_aside(path, str(other))
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        _set_aside(path, str(error))
    return _open(path)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
    connection.execute("PRAGMA mmap_size = 268435456")
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the error speaks of the file itself, and not of a full disk or a lock."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY_CODE in _DAMAGED


class _OtherVersion(Exception):
    """The file was made by another version of this program, or by another program."""


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)
    try:
        # Committed spans survive a kill -9; only a power cut may take the last ones, which traces can bear.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA cache_size = -32768")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    is_empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if version == 0 and is_empty:
        connection.executescript(_SCHEMA)
        return
    if version != VERSION:
        raise _OtherVersion(f"its schema is version {version}, this monitor writes version {VERSION}")
    fault: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if fault != "ok":
        raise _OtherVersion(fault)


def _set_aside(path: Path, reason: str) -> None:
    number = 1
    while (aside := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    log.warning("monitor.traces_set_aside", kept_as=str(aside), reason=reason)
