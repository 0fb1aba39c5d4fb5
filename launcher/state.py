"""What runs, as files: State for everybody, while the system is ready; Record for the next launcher."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

_Kind = TypeVar("_Kind")


class RunningProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A child. `created_at` (Unix time) and pid together name it for ever; servers have no `metrics`."""

    pid: int
    created_at: float
    restarts: int
    metrics: str | None = None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """`state.json`: there while the system is ready. `mail` is None when the user gave a relay.

    `warehouse` is the file of what the warehouse was told; None when it is the user's, or nobody tells it.
    """

    gateway: str | None
    monitor: str | None
    redis: str
    nats: str
    nats_monitor: str | None
    postgres: str
    smtp: str
    mail: str | None
    warehouse: str | None = None
    api_key: str
    pid: int
    processes: dict[str, RunningProcess]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """`processes.json`: all children from the first one on, so that the next launcher ends what is left."""

    pid: int
    processes: dict[str, RunningProcess]


def write_private(path: Path, content: bytes) -> None:
    """Replace the file in one step; no other user can read it at any moment."""
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    unfinished.replace(path)


def write(path: Path, value: State | Record) -> None:
    """Write it as indented JSON, mode 0600."""
    write_private(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def read_state(path: Path) -> State | None:
    """None when there is none."""
    return _read(path, State)


def read_record(path: Path) -> Record | None:
    """None when there is none, or none that this version understands."""
    return _read(path, Record)


def _read(path: Path, kind: type[_Kind]) -> _Kind | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
