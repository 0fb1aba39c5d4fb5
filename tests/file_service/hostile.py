"""Files that mean harm, or are only broken: a name in, the bytes out; each is made when it is asked for."""

import bz2
import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

MEGABYTE = 1024 * 1024


def zip_of(entries: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return target.getvalue()


def lying_zip() -> bytes:
    """Says that it unpacks to 10 bytes; its data are 300 MB."""
    content = bytearray(zip_of({"a": bytes(300 * MEGABYTE)}))
    real = struct.pack("<L", 300 * MEGABYTE)
    return bytes(content.replace(real, struct.pack("<L", 10)))


def overlapping_zip() -> bytes:
    """Two entries in the directory that are the same bytes."""
    content = zip_of({"a": b"x" * 1000, "b": b"x" * 1000}, compression=zipfile.ZIP_STORED)
    second = content.rindex(b"PK\x03\x04")
    directory = content.index(b"PK\x01\x02")
    cut = content[:second] + content[directory:]
    cut = cut.replace(struct.pack("<L", second), struct.pack("<L", 0))
    end = cut.rindex(b"PK\x05\x06")
    return cut[: end + 16] + struct.pack("<L", second) + cut[end + 20 :]


def tar_of(*members: tuple[str, bytes, dict[str, object]]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content, changes in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in changes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def zeros(megabytes: int) -> bytes:
    """That many megabytes of zeros, gzipped a thousand to one."""
    one = zlib.compressobj(9, wbits=31)
    packed = b"".join(one.compress(bytes(MEGABYTE)) for _ in range(megabytes))
    return packed + one.flush()


def png(width: int, height: int) -> bytes:
    """A PNG that says it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"x"))
        + chunk(b"IEND", b"")
    )


ROWS = b"a,b,c\n" + b"1,2,3\n" * 15
FILES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    # what it is: its name, its bytes, and the reason of its rejection
    "a row too short": ("a.csv", lambda: ROWS + b"1,2\n", "line 17: 2 columns instead of 3"),
    "a row too long": ("a.csv", lambda: ROWS + b"1,2,3,4\n1,2,3\n", "line 17: 4 columns instead of 3"),
    "a quote that is not closed": ("a.csv", lambda: ROWS + b'1,"2,3\n' + b"1,2,3\n" * 9, "line 17: a quote"),
    "a NUL in a table": ("a.csv", lambda: ROWS + b"1,\x00,3\n", "line 17: a NUL"),
    "a million columns": ("a.csv", lambda: b"x," * 1_000_000 + b"x\n", "line 1: .*columns; 1000 are allowed"),
    "one line without an end": ("a.csv", lambda: b"x" * 8 * MEGABYTE, "line 1: no end within"),
    "a line of megabytes": ("a.csv", lambda: ROWS + b"1,2," + b"x" * 3 * MEGABYTE, "line 17: longer than"),
    "only line ends": ("a.csv", lambda: b"\n\n\n", "no line with a value"),
    "a cut JSON line": ("a.jsonl", lambda: b'{"a": 1}\n{"a": 2\n{"a": 3}\n', "line 2: no JSON object"),
    "JSON that is no object": ("a.jsonl", lambda: b'{"a": 1}\n\n[1, 2]\n', "line 3: no JSON object"),
    "deeply nested JSON": (
        "a.jsonl",
        lambda: b'{"a": 1}\n{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
        "line 2: no JSON object|recursion",
    ),
    "JSON without line ends": (
        "a.jsonl",
        lambda: b'{"a": "' + b"x" * 40 * MEGABYTE + b'"}',
        "line 1: longer than",
    ),
    "a broken footer": ("a.parquet", lambda: b"PAR1" + b"x" * 100 + b"PAR1", "Parquet file is broken"),
    "a cut Parquet file": ("a.parquet", lambda: b"PAR1", "Parquet file is broken"),
    "a JPEG that is a page": (
        "a.jpg",
        lambda: b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00<html><script>",
        "image/jpeg",
    ),
    "a PNG of 10^10 pixels": ("a.png", lambda: png(100_000, 100_000), "100000 x 100000 pixels"),
    "a PNG that is cut": ("a.png", lambda: png(100, 100), "image/png cannot be decoded"),
    "a zip bomb": ("a.zip", lambda: zip_of({"a": bytes(120 * MEGABYTE)}), "archive bomb"),
    "a zip bomb that lies": ("a.zip", lying_zip, "archive bomb|broken"),
    "a zip whose entries overlap": ("a.zip", overlapping_zip, "overlap|broken"),
    "a cut zip": ("a.zip", lambda: zip_of({"a": b"x" * 1000})[:-30], "zip archive is broken"),
    "a gzip bomb": ("a.gz", lambda: zeros(120), "archive bomb"),
    "a bzip2 bomb in a tar": ("a.tar.bz2", lambda: bz2.compress(bytes(120 * MEGABYTE)), "archive bomb"),
    "a cut gzip": ("a.gz", lambda: gzip.compress(b"x" * 10_000)[:-12], "archive is broken"),
    "broken UTF-8": ("a.csv", lambda: ROWS + b"\xc3\xa9,\xff,3\n", "line 17: byte 99 is no utf-8"),
}
