"""What the examination of a file is given and what it finds: a Subject in, Findings out, or Unusable."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from shared.errors import TrunklineError

Profile = dict[str, JsonValue]


class Unusable(TrunklineError):
    """The file cannot be used; the message says why, and where in the file. No attempt would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A file to be examined. Its name and `declared` media type are the client's words: hints, no facts."""

    path: Path
    name: str
    declared: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an examination may take."""

    query_memory_bytes: int = 256 * 1024 * 1024
    query_spill_bytes: int = 10 * 1024**3
    query_threads: int = 2
    columns: int = 1_000
    pixels: int = 100_000_000
    unpacked_bytes: int = 10 * 1024**3


@dataclass(frozen=True, slots=True)
class Made:
    """Something made from the file; small, hence in memory."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Findings:
    """What is in the file."""

    profile: Mapping[str, JsonValue]
    made: Sequence[Made] = ()


Tell = Callable[[float, float, str], None]
"""Takes `done` and `total` in bytes and a note; may be called often."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the examination is, in bytes of the file, whatever number of times it is read."""

    tell: Tell
    size_bytes: int
    begin: float = 0.0
    end: float = 1.0
    doing: str = ""

    def part(self, begin: float, end: float, doing: str) -> "Progress":
        """The progress of a step that takes this share of the whole."""
        return Progress(self.tell, self.size_bytes, begin, end, doing)

    def at(self, fraction: float) -> None:
        """The step has come so far, 0 to 1."""
        share = self.begin + (self.end - self.begin) * min(max(fraction, 0.0), 1.0)
        note = f"{share:.0%} of {in_words(self.size_bytes)}: {self.doing}"
        # The last step is the job's end, which is not ours to tell.
        self.tell(min(int(self.size_bytes * share), max(self.size_bytes - 1, 0)), self.size_bytes, note)


_THOUSAND = 1000


def in_words(size_bytes: int) -> str:
    """`17 bytes`, `1.1 GB`."""
    if size_bytes < _THOUSAND:
        return f"{size_bytes} bytes"
    size = float(size_bytes)
    for unit in ("kB", "MB", "GB"):
        size /= _THOUSAND
        if size < _THOUSAND:
            return f"{size:.1f} {unit}"
    return f"{size / _THOUSAND:.1f} TB"
