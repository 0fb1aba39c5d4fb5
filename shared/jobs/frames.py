"""What a service and a child process of it say to each other: messages in, frames out, and back.

A frame is a length of four bytes, big-endian, and a tagged msgpack map. It travels on a socket of its own, so
that nothing that a handler prints is taken for one.
"""

import asyncio
import struct
from collections.abc import Callable
from datetime import timedelta

import msgspec

from shared.contracts import Envelope, WrittenEvent
from shared.errors import TrunklineError
from shared.jobs.origin import Origin
from shared.jobs.states import Death, State
from shared.jobs.verdict import Failure, Outcome
from shared.telemetry import LogFormat

FRAME_MAX_BYTES = 16 * 1024 * 1024
_LENGTH = struct.Struct(">I")


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first word to a child: whose handler it runs, and how it logs."""

    origin: Origin
    service: str
    path: list[str]
    """The service's `sys.path`."""
    log_level: str
    log_format: LogFormat | None


class Run(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A job for the child."""

    job_id: str
    attempt: int
    envelope: Envelope
    traceparent: str | None


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """End the job that runs."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """There will be no more jobs."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The child waits for a job."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The child cannot run the handler."""

    why: str


class Begun(msgspec.Struct, frozen=True, tag=True):
    """The child has the job; before this word, its death is not the job's doing."""


class Progress(msgspec.Struct, frozen=True, tag=True):
    """How far the job is."""

    done: float
    total: float
    note: str


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The outcome of the job; `is_cancelled` when it ended because it was told to."""

    is_cancelled: bool = False
    state: State = State.CANCELLED
    result: bytes = b""
    events: list[WrittenEvent] = []
    then: WrittenEvent | None = None
    failure: Failure | None = None
    reason: Death | None = None
    wait: timedelta = timedelta(0)
    counts: bool = True
    is_last: bool = False
    """Whether the child takes no more jobs: it is not what it was."""

    @classmethod
    def of(cls, outcome: Outcome, *, is_last: bool) -> "Ended":
        """The outcome as it travels: its events as JSON."""
        return cls(
            state=outcome.state,
            result=outcome.result,
            events=[WrittenEvent.of(event) for event in outcome.events],
            then=WrittenEvent.of(outcome.then) if outcome.then is not None else None,
            failure=outcome.failure,
            reason=outcome.reason,
            wait=outcome.wait,
            counts=outcome.counts,
            is_last=is_last,
        )

    def outcome(self) -> Outcome:
        """What the parent makes of the job."""
        return Outcome(
            state=self.state,
            result=self.result,
            events=self.events,
            then=self.then,
            failure=self.failure,
            reason=self.reason,
            wait=self.wait,
            counts=self.counts,
        )


ToChild = Hello | Run | Cancel | Stop
FromChild = Ready | Refused | Begun | Progress | Ended


class BadFrame(TrunklineError):
    """Bytes that are no frame; whoever wrote them is not to be listened to any more."""


_encode = msgspec.msgpack.Encoder().encode
_to_child = msgspec.msgpack.Decoder(ToChild)
_from_child = msgspec.msgpack.Decoder(FromChild)


def encode(message: ToChild | FromChild) -> bytes:
    """The frame of a message; BadFrame when it is too large."""
    body = _encode(message)
    return _LENGTH.pack(_checked(len(body))) + body


def read_to_child(read: Callable[[int], bytes | None]) -> ToChild | None:
    """The next message from the parent; None when it is gone. `read` blocks until there are so many bytes."""
    header = read(_LENGTH.size)
    if header is None:
        return None
    body = read(_checked(*_LENGTH.unpack(header)))
    return None if body is None else _to_child.decode(body)


async def read_from_child(reader: asyncio.StreamReader) -> FromChild | None:
    """The next message from the child; None when it is gone, BadFrame when it is no frame."""
    try:
        size = _checked(*_LENGTH.unpack(await reader.readexactly(_LENGTH.size)))
        return _from_child.decode(await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except msgspec.MsgspecError as error:
        raise BadFrame(f"what came is no frame: {error}") from error


def _checked(size: int) -> int:
    if size > FRAME_MAX_BYTES:
        raise BadFrame(f"a frame has {size} bytes, {FRAME_MAX_BYTES} are allowed")
    return size
