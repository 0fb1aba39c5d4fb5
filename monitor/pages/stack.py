"""A Python traceback's text in, the same text in parts out: one's own frames, and those of libraries; pure.

Nothing is lost or changed: the parts, one after the other, are the text. Chained errors and groups of errors
keep their shape. Text that is no traceback is one part.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

Kind = Literal["words", "own", "library"]

# Of an error in a group, the lines begin with its margin: `    | `.
_FRAME: Final = re.compile(
    r'(?P<margin>[ |+]*)File "(?P<path>[^"\n]+)", line (?P<line>\d+), in (?P<function>[^\n]+)'
)
_PACKAGES: Final = re.compile(r".*/(?:site|dist)-packages/(?P<package>[^/]+)")
_STANDARD: Final = re.compile(r".*/lib(?:64)?/python\d[\d.]*(?:\.zip)?/|.*/Lib/|<")
_RUNTIME: Final = re.compile(r"(?:.*/)?shared/jobs/[^/]+")


@dataclass(frozen=True)
class Part:
    """Some lines of the traceback, in order."""

    kind: Kind
    text: str
    frames: int


@dataclass(frozen=True)
class Stack:
    """A traceback in its parts; without a frame of a library it is not folded anywhere."""

    parts: Sequence[Part]
    raised: str | None
    """`connection.py:155 in _as_ours`: the innermost of one's own frames; None without any."""

    @property
    def text(self) -> str:
        """All of it, as it came."""
        return "".join(part.text for part in self.parts)


@dataclass(frozen=True)
class _Frame:
    path: str
    line: str
    function: str


@dataclass(frozen=True)
class _Piece:
    """A frame with its lines of code, or one line that is of no frame."""

    text: str
    frame: _Frame | None


def parse_stack(text: str) -> Stack:
    """The traceback in parts; frames of one kind that follow each other are one part.

    A service may be installed as a library is: the package of the first frame, which is the handler's, is
    one's own wherever it lies. Where no frame is one's own, all are shown.
    """
    pieces = list(_pieces(text))
    frames = [piece.frame for piece in pieces if piece.frame is not None]
    home = _package(frames[0].path) if frames else None
    own = [frame for frame in frames if _is_own(frame.path, home)]

    def kind_of(piece: _Piece) -> Kind:
        if piece.frame is None:
            return "words"
        return "own" if not own or _is_own(piece.frame.path, home) else "library"

    parts: list[Part] = []
    for kind, together in groupby(pieces, kind_of):
        same = list(together)
        frames_here = sum(piece.frame is not None for piece in same)
        parts.append(Part(kind, "".join(piece.text for piece in same), frames_here))
    return Stack(parts, _shown(own[-1]) if own else None)


def _pieces(text: str) -> Iterator[_Piece]:
    frame: _Frame | None = None
    margin, held = "", ""
    for line in text.splitlines(keepends=True):
        begins = _FRAME.match(line)
        if begins is None and frame is not None and _is_deeper(line, margin):
            held += line
            continue
        if frame is not None:
            yield _Piece(held, frame)
            frame = None
        if begins is None:
            yield _Piece(line, None)
        else:
            margin = begins["margin"]
            frame, held = _Frame(begins["path"].replace("\\", "/"), begins["line"], begins["function"]), line
    if frame is not None:
        yield _Piece(held, frame)


def _is_deeper(line: str, margin: str) -> bool:
    """Whether the line is of the frame before it: its code, the marks below, how often it is repeated."""
    if not line.startswith(margin):
        return False
    return line[len(margin) :].startswith(("  ", "[Previous line repeated"))


def _is_own(path: str, home: str | None) -> bool:
    package = _package(path)
    if package is not None:
        return package == home
    return not _STANDARD.match(path) and not _RUNTIME.fullmatch(path)


def _package(path: str) -> str | None:
    """The package of a path among installed packages; None elsewhere."""
    found = _PACKAGES.match(path)
    return found["package"] if found else None


def _shown(frame: _Frame) -> str:
    return f"{'/'.join(frame.path.split('/')[-2:])}:{frame.line} in {frame.function.strip()}"
