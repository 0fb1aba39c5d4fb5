"""What a file is: its first bytes in, media type and kind out. The client's words tell only texts apart."""

import codecs
from enum import StrEnum
from typing import Final, NamedTuple

import filetype

from file_service.findings import Subject

try:
    import magic
except ImportError:  # libmagic is not installed: signatures of binary files are known all the same
    magic = None

HEAD_BYTES: Final = 64 * 1024

_UNKNOWN: Final = "application/octet-stream"
_PARQUET: Final = b"PAR1"


class Kind(StrEnum):
    """What is done with a file."""

    EMPTY = "empty"
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    IMAGE = "image"
    TEXT = "text"
    ZIP = "zip"
    TAR = "tar"
    OTHER = "other"


class Sniffed(NamedTuple):
    """A kind, and the media type that the bytes have."""

    kind: Kind
    media_type: str


_IMAGES: Final = frozenset(
    f"image/{name}" for name in ("jpeg", "png", "gif", "webp", "bmp", "x-ms-bmp", "tiff")
)
_ZIPS: Final = frozenset({"application/zip", "application/java-archive", "application/epub+zip"})
_ZIPPED: Final = ("application/vnd.openxmlformats-", "application/vnd.oasis.opendocument.")
_TARS: Final = frozenset(
    {
        "application/x-tar",
        "application/gzip",
        "application/x-gzip",
        "application/x-bzip2",
        "application/bzip2",
        "application/x-xz",
    }
)
_CSV_TYPES: Final = frozenset({"text/csv", "application/csv", "text/tab-separated-values"})
_JSONL_TYPES: Final = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "text/jsonl",
    }
)
_BY_ENDING: Final = {
    ".csv": Kind.CSV,
    ".tsv": Kind.CSV,
    ".tab": Kind.CSV,
    ".jsonl": Kind.JSONL,
    ".ndjson": Kind.JSONL,
}
_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF8)


def sniff(subject: Subject) -> Sniffed:
    """The kind and media type of the file."""
    if subject.size_bytes == 0:
        return Sniffed(Kind.EMPTY, "application/x-empty")
    with subject.path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    found = _of_bytes(head)
    if head.startswith(_PARQUET):
        return Sniffed(Kind.PARQUET, "application/vnd.apache.parquet")
    if found in _IMAGES:
        return Sniffed(Kind.IMAGE, found)
    if found in _ZIPS or found.startswith(_ZIPPED):
        return Sniffed(Kind.ZIP, found)
    if found in _TARS:
        return Sniffed(Kind.TAR, found)
    return _of_text(subject, head, found)


def _of_bytes(head: bytes) -> str:
    if magic is not None:
        return str(magic.from_buffer(head, mime=True))
    return str(filetype.guess_mime(head) or (_UNKNOWN if b"\0" in head else "text/plain"))


def _of_text(subject: Subject, head: bytes, found: str) -> Sniffed:
    """Tables and texts look alike: here the name and the declared type count."""
    is_texty = found.startswith("text/") or _is_structured_text(found) or head.startswith(_MARKS)
    hinted = _hinted(subject) if is_texty or found == _UNKNOWN else None
    if hinted is Kind.CSV or (hinted is None and found in _CSV_TYPES):
        return Sniffed(Kind.CSV, "text/csv")
    if hinted is Kind.JSONL or (hinted is None and found in _JSONL_TYPES):
        return Sniffed(Kind.JSONL, "application/x-ndjson")
    if is_texty:
        return Sniffed(Kind.TEXT, found)
    return Sniffed(Kind.OTHER, found)


def _is_structured_text(media_type: str) -> bool:
    return media_type.endswith(("/json", "+json", "/xml", "+xml", "/javascript")) or media_type in (
        _CSV_TYPES | _JSONL_TYPES
    )


def _hinted(subject: Subject) -> Kind | None:
    declared = subject.declared.partition(";")[0].strip().lower()
    if declared in _CSV_TYPES:
        return Kind.CSV
    if declared in _JSONL_TYPES:
        return Kind.JSONL
    name = subject.name.lower()
    return next((kind for ending, kind in _BY_ENDING.items() if name.endswith(ending)), None)
