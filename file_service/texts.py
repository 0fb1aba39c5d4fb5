"""A text: its bytes in, encoding, lines and words out; read once, in pieces, however long a line is."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from charset_normalizer import from_bytes

from file_service.findings import Findings, Progress, Subject, Unusable
from file_service.sniffing import Sniffed

_PIECE_BYTES: Final = 4 << 20
_SAMPLE_BYTES: Final = 64 * 1024
_AROUND_BYTES: Final = 8 * 1024
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_TELLING_LETTERS: Final = 64
"""From fewer letters beyond ASCII nobody can guess: three of them are Big5 as well as French."""

# What most files that are no UTF-8 are; it decodes nearly everything, so it is asked last.
_LAST_RESORT: Final = "cp1252"


class Count:
    """What is counted in a text, piece by piece; words and lines may run on from one to the next."""

    def __init__(self) -> None:
        self.characters = self.words = self.longest_line = 0
        self._breaks = 0
        self._line = 0  # of the line that has begun, so many characters
        self._in_word = False

    @property
    def lines(self) -> int:
        """How many lines there are; the last one needs no end."""
        return self._breaks + (self._line > 0)

    def add(self, piece: str) -> None:
        """Count one piece more."""
        if not piece:
            return
        words = len(piece.split())
        self.words += words - (self._in_word and not piece[0].isspace())
        self._in_word = not piece[-1].isspace()
        first, *others = piece.split("\n")
        self._line += len(first)
        if others:
            self.longest_line = max(self.longest_line, self._line, *map(len, others))
            self._line = len(others[-1])
        self.longest_line = max(self.longest_line, self._line)
        self._breaks += len(others)
        self.characters += len(piece)


def examine_text(subject: Subject, sniffed: Sniffed, progress: Progress) -> Findings:
    """Encoding, lines, words and the longest line; Unusable for bytes that no encoding explains."""
    encoding = encoding_of(subject.path, progress.part(0.0, 0.4, "finding the encoding"))
    count = Count()
    counting = progress.part(0.4, 1.0, "counting")
    for piece, fraction in _decoded(subject.path, encoding):
        count.add(piece)
        counting.at(fraction)
    return Findings(
        {
            "kind": "text",
            "media_type": sniffed.media_type,
            "encoding": encoding,
            "characters": count.characters,
            "lines": count.lines,
            "words": count.words,
            "longest_line": count.longest_line,
        }
    )


def encoding_of(path: Path, progress: Progress) -> str:
    """The encoding in which all of the file can be read; Unusable when there is none, with the line."""
    with path.open("rb") as file:
        head = file.read(_SAMPLE_BYTES)
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    first = marked or "utf-8"
    fault = _first_fault(path, first, progress)
    if fault is None:
        return first
    # Who has written one letter in UTF-8 meant UTF-8: another encoding would only hide the fault.
    if marked is None and _first_fault(path, "ascii", progress) == fault:
        for guess in dict.fromkeys([*_guesses(head, _around(path, fault)), _LAST_RESORT]):
            if _first_fault(path, guess, progress) is None:
                return guess
    raise Unusable(f"line {_line_of(path, fault)}: byte {fault} is no {first}, and no other encoding fits")


def as_utf8(path: Path, encoding: str, target: Path) -> None:
    """Write the text as UTF-8."""
    with target.open("w", encoding="utf-8", newline="") as file:
        for piece, _ in _decoded(path, encoding):
            file.write(piece)


def line_with_nul(path: Path, encoding: str) -> int | None:
    """The first line that has a NUL; None when no line has."""
    if encoding.startswith(("utf-16", "utf-32")):
        characters = 0
        for piece, _ in _decoded(path, encoding):
            if "\0" in piece:
                return 1 + _line_breaks(path, encoding, characters + piece.index("\0"))
            characters += len(piece)
        return None
    with path.open("rb") as file:
        while data := file.read(_PIECE_BYTES):
            if b"\0" in data:
                return _line_of(path, file.tell() - len(data) + data.index(b"\0"))
    return None


def _line_breaks(path: Path, encoding: str, before: int) -> int:
    breaks = 0
    for piece, _ in _decoded(path, encoding):
        breaks += piece.count("\n", 0, max(before, 0))
        before -= len(piece)
    return breaks


def _decoded(path: Path, encoding: str) -> Iterator[tuple[str, float]]:
    """Pieces of the text, and which part of the file has been read with each."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    size_bytes = max(path.stat().st_size, 1)
    with path.open("rb") as file:
        while data := file.read(_PIECE_BYTES):
            yield decoder.decode(data), file.tell() / size_bytes
    decoder.decode(b"", final=True)


def _first_fault(path: Path, encoding: str, progress: Progress) -> int | None:
    """Where the first byte is that the encoding does not explain; None when it explains all."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    size_bytes, read = max(path.stat().st_size, 1), 0
    with path.open("rb") as file:
        while True:
            data = file.read(_PIECE_BYTES)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                return max(read - pending + error.start, 0)
            if not data:
                return None
            read += len(data)
            progress.at(read / size_bytes)


def _guesses(*samples: bytes) -> list[str]:
    telling = [one for one in samples if len(one) - len(one.decode("ascii", "ignore")) >= _TELLING_LETTERS]
    best = [from_bytes(sample).best() for sample in telling]
    return [found.encoding for found in best if found is not None]


def _around(path: Path, at: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(at - _AROUND_BYTES, 0))
        return file.read(2 * _AROUND_BYTES)


def _line_of(path: Path, at: int) -> int:
    lines, left = 1, at
    with path.open("rb") as file:
        while left > 0 and (data := file.read(min(_PIECE_BYTES, left))):
            lines += data.count(b"\n")
            left -= len(data)
    return lines
