"""An archive: its bytes in, the list of what it holds out.

Nothing is unpacked to disk, and no archive in it is opened. What it would unpack to is not believed, but
counted: a bomb is refused by what it says, and by what it does.
"""

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast

import msgspec
from pydantic import JsonValue

from file_service.findings import Findings, Limits, Made, Progress, Subject, Unusable, in_words
from file_service.names import unsafe_because
from file_service.sniffing import Sniffed

MOST_ENTRIES: Final = 100_000
_LISTED: Final = 10_000
_SHOWN: Final = 20
_RATIO: Final = 100
_HARMLESS_BYTES: Final = 100_000_000
"""Up to so much any ratio is fine: a log of zeros is no bomb."""

_PIECE_BYTES: Final = 1 << 20
_TAR_BLOCK: Final = 512
_TAR_MAGIC: Final = slice(257, 262)
_ENCRYPTED: Final = 0x1
_SYMLINK: Final = 0xA
_LONGEST_NAME: Final = 500
_ARCHIVES: Final = (".zip", ".jar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
_BROKEN: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    UnicodeError,
)


class Entry(NamedTuple):
    """Something in an archive."""

    name: str
    type: str
    size_bytes: int
    link: str | None = None
    is_encrypted: bool = False


class _Budget:
    """How much an archive may unpack to; counts what it really does."""

    def __init__(self, packed_bytes: int, limits: Limits) -> None:
        self.left = self._most = min(limits.unpacked_bytes, max(_HARMLESS_BYTES, packed_bytes * _RATIO))
        self._packed_bytes = packed_bytes

    def check(self, unpacked_bytes: int) -> None:
        """Refuse what says by itself that it is too much."""
        if unpacked_bytes > self._most:
            raise self._bomb()

    def take(self, size_bytes: int) -> None:
        """So much more was unpacked."""
        self.left -= size_bytes
        if self.left < 0:
            raise self._bomb()

    def _bomb(self) -> Unusable:
        return Unusable(
            f"an archive bomb: {in_words(self._packed_bytes)} unpack to more than {in_words(self._most)}"
        )


def examine_zip(subject: Subject, sniffed: Sniffed, limits: Limits, progress: Progress) -> Findings:
    """What is in a zip archive; Unusable for bombs and for what is broken."""
    budget = _Budget(subject.size_bytes, limits)
    try:
        with zipfile.ZipFile(subject.path) as archive:
            infos = archive.infolist()
            _refuse_many(len(infos))
            budget.check(sum(info.file_size for info in infos))
            if sum(info.compress_size for info in infos) > subject.size_bytes:
                raise Unusable("an archive bomb: its entries overlap")
            entries = [_unzipped(archive, info, budget) for info in _told(infos, progress)]
    except _BROKEN as error:
        raise Unusable(f"the zip archive is broken: {error}") from None
    return _findings("zip", sniffed, subject, entries)


def examine_tar(subject: Subject, sniffed: Sniffed, limits: Limits, progress: Progress) -> Findings:
    """What is in a tar archive, compressed or not, or in one compressed file."""
    budget = _Budget(subject.size_bytes, limits)
    progress = progress.part(0.0, 1.0, "listing")
    try:
        with subject.path.open("rb") as file, _unpacking(file, sniffed.media_type) as unpacked:
            source = _Counted(unpacked, budget, file, subject.size_bytes, progress)
            is_tar = source.peek(_TAR_BLOCK)[_TAR_MAGIC] == b"ustar"
            if not is_tar and sniffed.media_type == "application/x-tar":
                raise Unusable("begins as a tar archive does, but is none")
            entries = _untarred(source) if is_tar else [_single(subject, source)]
    except _BROKEN as error:
        raise Unusable(f"the archive is broken: {error}") from None
    return _findings("tar" if is_tar else "compressed", sniffed, subject, entries)


def _told(infos: "list[zipfile.ZipInfo]", progress: Progress) -> "Iterator[zipfile.ZipInfo]":
    progress = progress.part(0.0, 1.0, "listing")
    for number, info in enumerate(infos):
        progress.at(number / len(infos))
        yield info


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: _Budget) -> Entry:
    """The entry, after its bytes were counted and found to be what its checksum says."""
    is_encrypted = bool(info.flag_bits & _ENCRYPTED)
    is_link = info.external_attr >> 28 == _SYMLINK
    kind = "directory" if info.is_dir() else "symlink" if is_link else "file"
    link = None
    if not is_encrypted and kind != "directory":
        with archive.open(info) as content:
            first = b""
            while piece := content.read(_PIECE_BYTES):
                first = first or piece
                budget.take(len(piece))
            link = first.decode("utf-8", "replace") if is_link else None
    return Entry(info.filename, kind, info.file_size, link, is_encrypted)


def _untarred(source: "_Counted") -> list[Entry]:
    entries: list[Entry] = []
    with tarfile.open(fileobj=cast("IO[bytes]", source), mode="r|") as archive:
        for member in archive:
            _refuse_many(len(entries) + 1)
            entries.append(Entry(member.name, _tar_type(member), member.size, member.linkname or None))
    while source.read(_PIECE_BYTES):  # what follows the end is unpacked by others, too
        pass
    return entries


def _tar_type(member: tarfile.TarInfo) -> str:
    if member.isfile():
        return "file"
    if member.isdir():
        return "directory"
    if member.issym():
        return "symlink"
    return "hardlink" if member.islnk() else "device"


def _single(subject: Subject, source: "_Counted") -> Entry:
    while source.read(_PIECE_BYTES):
        pass
    return Entry(Path(subject.name).stem or subject.name, "file", source.count)


def _unpacking(file: IO[bytes], media_type: str) -> IO[bytes]:
    if media_type.endswith("gzip"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if media_type.endswith(("bzip2", "x-bzip2")):
        return cast("IO[bytes]", bz2.BZ2File(file))
    if media_type.endswith("x-xz"):
        return cast("IO[bytes]", lzma.LZMAFile(file))
    return file


class _Counted:
    """A stream whose bytes are counted against the budget."""

    def __init__(
        self, stream: IO[bytes], budget: _Budget, packed: IO[bytes], packed_bytes: int, progress: Progress
    ) -> None:
        self._stream = stream
        self._budget = budget
        self._packed = packed
        self._packed_bytes = packed_bytes
        self._progress = progress
        self._ahead = b""
        self.count = 0

    def peek(self, size: int) -> bytes:
        """The first bytes, which will be read again."""
        self._ahead = self._fetch(size)
        return self._ahead

    def read(self, size: int) -> bytes:
        """The next bytes."""
        if self._ahead:
            found, self._ahead = self._ahead[:size], self._ahead[size:]
            return found
        return self._fetch(size)

    def _fetch(self, size: int) -> bytes:
        piece = self._stream.read(min(size, _PIECE_BYTES))
        self._budget.take(len(piece))
        self.count += len(piece)
        self._progress.at(self._packed.tell() / self._packed_bytes)
        return piece


def _refuse_many(entries: int) -> None:
    if entries > MOST_ENTRIES:
        raise Unusable(f"the archive has more than {MOST_ENTRIES} entries")


def _findings(kind: str, sniffed: Sniffed, subject: Subject, entries: list[Entry]) -> Findings:
    unpacked_bytes = sum(entry.size_bytes for entry in entries if entry.type == "file")
    described = [_described(entry) for entry in entries[:_LISTED]]
    listing: dict[str, Any] = {"entries": described, "entries_left_out": len(entries) - len(described)}
    profile: dict[str, JsonValue] = {
        "kind": "archive",
        "format": kind,
        "media_type": sniffed.media_type,
        "entries": len(entries),
        "unpacked_bytes": unpacked_bytes,
        "ratio": round(unpacked_bytes / subject.size_bytes, 2),
        "unsafe_entries": sum(unsafe_because(entry.name, entry.link) is not None for entry in entries),
        "encrypted_entries": sum(entry.is_encrypted for entry in entries),
        "nested_archives": sum(entry.name.lower().endswith(_ARCHIVES) for entry in entries),
        "first_entries": cast("JsonValue", described[:_SHOWN]),
    }
    return Findings(profile, [Made("listing.json", "application/json", msgspec.json.encode(listing))])


def _described(entry: Entry) -> dict[str, JsonValue]:
    described: dict[str, JsonValue] = {
        "name": entry.name[:_LONGEST_NAME],
        "type": entry.type,
        "size_bytes": entry.size_bytes,
    }
    if entry.link is not None:
        described["link"] = entry.link[:_LONGEST_NAME]
    if entry.is_encrypted:
        described["encrypted"] = True
    if (why := unsafe_because(entry.name, entry.link)) is not None:
        described["unsafe"] = why
    return described
