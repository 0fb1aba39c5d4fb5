"""A traceback in; the same with our own frames first, those of libraries after them, out."""

import re
from typing import Final

_FRAME: Final = re.compile(r'  File "(?P<file>[^"]+)", line ')
_LIBRARY: Final = re.compile(r"/(?:site|dist)-packages/|/lib/python3[^/]*/|^<frozen ")
_HEAD: Final = "Traceback (most recent call last):"


def own_first(stack: str) -> str:
    """Each traceback of a chain with its error last; what has no frames stays as it is."""
    parts = re.split(rf"^(?={re.escape(_HEAD)})", stack, flags=re.MULTILINE)
    return "".join(map(_sorted, parts)).rstrip("\n")


def _sorted(part: str) -> str:
    lines = part.splitlines(keepends=True)
    if not lines or not lines[0].startswith(_HEAD):
        return part
    frames, rest = _split(lines[1:])
    own = [frame for frame in frames if not _is_library(frame)]
    libraries = [frame for frame in frames if _is_library(frame)]
    if not own or not libraries:
        return part
    between = ["  in libraries:\n"]
    return "".join([lines[0], *own, *between, *libraries, *rest])


def _split(lines: list[str]) -> tuple[list[str], list[str]]:
    """The frames, each with the lines that belong to it, and what follows them."""
    frames: list[str] = []
    for number, line in enumerate(lines):
        if _FRAME.match(line):
            frames.append(line)
        elif frames and line.startswith("    "):
            frames[-1] += line
        elif not line.startswith("  "):
            return frames, lines[number:]
        elif frames:
            frames[-1] += line
    return frames, []


def _is_library(frame: str) -> bool:
    found = _FRAME.match(frame)
    return bool(found and _LIBRARY.search(found["file"]))
