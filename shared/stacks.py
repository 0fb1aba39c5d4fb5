"""A Python traceback's text in; its parts, and the innermost of one's own frames, out; pure.

The parts, one after the other, are the text: nothing is lost or changed. Chained errors and groups of errors
keep their shape. Text that is no traceback is one part.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

Kind = Literal["words", "own", "library"]

# Of an error in a group, the lines begin with its margin: `    | `. Where a SyntaxError is has no function.
_FRAME: Final = re.compile(
    r'^(?P<margin>[ |+]*)File "(?P<path>[^"\n]+)", line (?P<line>\d+)(?:, in (?P<function>[^\n]+))?$',
    re.MULTILINE,
)
_OUTERMOST: Final = re.compile(r"(?:  \|)? +")  # the margin of the error itself, a group or not
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")  # str.splitlines would break a message at \r, \x0c and more
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
class Frame:
    """A line of code that a traceback names; `path` with slashes, whatever system wrote it."""

    margin: str
    path: str
    line: str
    function: str | None
    """None of the place that a SyntaxError tells of: nothing was called there."""

    @property
    def file(self) -> str:
        """`email_service/handlers.py`: the file in its folder."""
        return "/".join(self.path.split("/")[-2:])

    @property
    def shown(self) -> str:
        """`email_service/handlers.py:41 in send`."""
        return f"{self.file}:{self.line} in {self.function or '?'}"


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
class _Piece:
    """A frame with its lines of code, or one line that is of no frame."""

    text: str
    frame: Frame | None


def parse_stack(text: str) -> Stack:
    """The traceback in parts; frames of one kind that follow each other are one part.

    A service may be installed as a library is: the package of the first frame, which is the handler's, is
    one's own wherever it lies. Where no frame is one's own, all are shown.
    """
    pieces = list(_pieces(text))
    frames = [piece.frame for piece in pieces if piece.frame is not None]
    home = _home(frames)
    own = [frame for frame in frames if _origin(frame.path, home) == "own"]

    def kind_of(piece: _Piece) -> Kind:
        if piece.frame is None:
            return "words"
        return "own" if not own or _origin(piece.frame.path, home) == "own" else "library"

    parts: list[Part] = []
    for kind, together in groupby(pieces, kind_of):
        same = list(together)
        frames_here = sum(piece.frame is not None for piece in same)
        parts.append(Part(kind, "".join(piece.text for piece in same), frames_here))
    return Stack(parts, own[-1].shown.rstrip() if own else None)


def own_place(text: str) -> Frame | None:
    """Where in one's own code the error itself was raised; None when it names no such place.

    Errors in a group come in any order: their frames do not count. Those of the runtime do, and the place
    that a SyntaxError tells of: what is grouped by this must stay together, release after release.
    """
    frames = [frame for frame in map(_frame, _FRAME.finditer(text)) if _OUTERMOST.fullmatch(frame.margin)]
    home = _home(frames)
    return next((frame for frame in reversed(frames) if _origin(frame.path, home) != "library"), None)


def _pieces(text: str) -> Iterator[_Piece]:
    frame: Frame | None = None
    held = ""
    for line in _LINE.findall(text):
        begins = _begun(line)
        if begins is None and frame is not None and _is_deeper(line, frame.margin):
            held += line
            continue
        if frame is not None:
            yield _Piece(held, frame)
        frame, held = begins, line
        if begins is None:
            yield _Piece(line, None)
    if frame is not None:
        yield _Piece(held, frame)


def _begun(line: str) -> Frame | None:
    found = _FRAME.match(line)
    return _frame(found) if found and found["function"] else None


def _frame(found: re.Match[str]) -> Frame:
    return Frame(found["margin"], found["path"].replace("\\", "/"), found["line"], found["function"])


def _is_deeper(line: str, margin: str) -> bool:
    """Whether the line is of the frame before it: its code, the marks below, how often it is repeated."""
    if not line.startswith(margin):
        return False
    return line[len(margin) :].startswith(("  ", "[Previous line repeated"))


def _home(frames: Sequence[Frame]) -> str | None:
    """The installed package that is one's own; None where one's own code is not installed."""
    return _package(frames[0].path) if frames else None


def _origin(path: str, home: str | None) -> Literal["own", "runtime", "library"]:
    package = _package(path)
    if package is not None:
        return "own" if package == home else "library"
    if _STANDARD.match(path):
        return "library"
    return "runtime" if _RUNTIME.fullmatch(path) else "own"


def _package(path: str) -> str | None:
    """The package of a path among installed packages; None elsewhere."""
    found = _PACKAGES.match(path)
    return found["package"] if found else None
