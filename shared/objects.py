"""Files of the system: bytes under a key in, the same out again; in a folder, or at S3, GCS or Azure by URL.

Keys: `files/<file_id>/content`, `files/<file_id>/artifacts/<name>`, `reports/<report_id>.<format>`.
"""

import asyncio
import hashlib
import re
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from shared.errors import SettingsError, TrunklineError
from shared.settings import Secret

_CHUNK: Final = 1 << 20
_AT_A_TIME: Final = 1000
_PART: Final = re.compile(r"#\d+$")
"""How object_store calls what it writes to a folder until it is complete."""


class ObjectMissing(TrunklineError):
    """Nothing lies under this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"nothing lies under {key!r} in the object store")
        self.key = key


class ObjectTooLarge(TrunklineError):
    """More bytes came than are allowed; nothing was kept of them."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"more than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class Stored(NamedTuple):
    """What came of a put."""

    size_bytes: int
    sha256: str


class Found(NamedTuple):
    """What lies under a key."""

    key: str
    size_bytes: int
    modified_at: datetime


class Objects:
    """The object store of a FILES_URL: `file:///folder`, `s3://bucket/prefix`, `gs://...`, `az://...`.

    Credentials of a cloud come from its usual variables (`AWS_ACCESS_KEY_ID`, ...). SettingsError for a URL
    that names no store. An outage raises `OBJECTS_AWAY`.
    """

    def __init__(self, url: Secret) -> None:
        self._folder = _folder(url.get_secret_value())
        try:
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._store: Any = LocalStore(self._folder)
            else:
                self._store = from_url(url.get_secret_value())
        except (BaseError, OSError, ValueError) as error:
            raise SettingsError(f"FILES_URL: {_first_line(error)}") from error

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, limit_bytes: int | None = None) -> Stored:
        """Keep the bytes as they come, in parts, never whole in memory; what lay under the key is replaced.

        ObjectTooLarge when there are more than `limit_bytes`. Whatever ends the chunks early, an error of the
        client's or a cancellation, leaves nothing under the key.
        """
        counted = _Counted(chunks, limit_bytes)
        try:
            await obstore.put_async(self._store, key, aiter(counted))
        except BaseException:
            if counted.error is not None:
                raise counted.error from None
            raise
        return Stored(counted.size_bytes, counted.sha256)

    async def put_bytes(self, key: str, content: bytes) -> Stored:
        """Keep these bytes; what lay under the key is replaced."""
        await obstore.put_async(self._store, key, content)
        return Stored(len(content), hashlib.sha256(content).hexdigest())

    async def put_file(self, key: str, path: Path) -> Stored:
        """Keep what is in the file, read part by part."""
        return await self.put(key, _read(path))

    async def find(self, key: str) -> Found | None:
        """Size and age of what lies under the key; None when nothing does."""
        try:
            meta = await obstore.head_async(self._store, key)
        except FileNotFoundError:
            return None
        return Found(key, meta["size"], meta["last_modified"])

    async def read(self, key: str, *, first: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `first` on, in parts of about 1 MiB; ObjectMissing when nothing lies there."""
        options: Any = {}
        if length is not None:
            options = {"range": (first, first + length)}
        elif first:
            options = {"range": {"offset": first}}
        try:
            found = await obstore.get_async(self._store, key, options=options)
        except FileNotFoundError:
            raise ObjectMissing(key) from None
        return (bytes(chunk) async for chunk in found.stream(min_chunk_size=_CHUNK))

    async def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """All bytes at once; ObjectTooLarge before anything is read, ObjectMissing when there are none."""
        found = await self.find(key)
        if found is None:
            raise ObjectMissing(key)
        if found.size_bytes > limit_bytes:
            raise ObjectTooLarge(limit_bytes)
        return b"".join([chunk async for chunk in await self.read(key)])

    @asynccontextmanager
    async def as_file(self, key: str) -> AsyncGenerator[Path]:
        """The object as a file to read, for libraries that want a path: the store's own, or a copy.

        ObjectMissing when nothing lies there. Nobody may write to it; a copy is gone afterwards.
        """
        if self._folder is not None:
            if await self.find(key) is None:
                raise ObjectMissing(key)
            yield self._folder / key
            return
        with tempfile.TemporaryDirectory(prefix="trunkline-object-") as folder:
            copy = Path(folder) / "content"
            with copy.open("wb") as file:
                async for chunk in await self.read(key):
                    await asyncio.to_thread(file.write, chunk)
            yield copy

    async def list(self, prefix: str) -> AsyncIterator[Found]:
        """What lies under keys that begin with the segments of `prefix`."""
        async for page in obstore.list(self._store, prefix=prefix, chunk_size=_AT_A_TIME):
            for meta in page:
                yield Found(meta["path"], meta["size"], meta["last_modified"])

    async def delete(self, key: str) -> None:
        """Remove it; harmless when nothing lies there."""
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return

    async def remove_unfinished(self, *, before: datetime) -> int:
        """Remove the parts of puts that a kill has cut off before then; returns how many.

        They lie beside their key and are never listed. Folders only: in a cloud it is the work of a lifecycle
        rule for incomplete uploads.
        """
        if self._folder is None:
            return 0
        return await asyncio.to_thread(_remove_unfinished, self._folder, before)

    async def check(self) -> None:
        """Return when the store answers; raises one of OBJECTS_AWAY when not."""
        await self.find("readiness")


OBJECTS_AWAY: Final = (BaseError, OSError)
"""What the store raises when it does not answer, refuses us or is full."""


class _Counted:
    """Chunks, counted and hashed on their way; remembers the error that ended them."""

    def __init__(self, chunks: AsyncIterable[bytes], limit_bytes: int | None) -> None:
        self._chunks = chunks
        self._limit_bytes = limit_bytes
        self._hash = hashlib.sha256()
        self.size_bytes = 0
        self.error: BaseException | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                self.size_bytes += len(chunk)
                if self._limit_bytes is not None and self.size_bytes > self._limit_bytes:
                    raise ObjectTooLarge(self._limit_bytes)  # noqa: TRY301 - the error is kept below
                self._hash.update(chunk)
                if chunk:
                    yield chunk
        except BaseException as error:  # obstore wraps what an iterator raises: the caller gets the original
            self.error = error
            raise

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def _folder(url: str) -> Path | None:
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise SettingsError("FILES_URL: a folder is written file:///its/path")
    return Path(unquote(parts.path))


def _remove_unfinished(folder: Path, before: datetime) -> int:
    parts = [path for path in folder.rglob("*#*") if _PART.search(path.name)]
    old = [path for path in parts if path.stat().st_mtime < before.timestamp()]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


async def _read(path: Path) -> AsyncGenerator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
