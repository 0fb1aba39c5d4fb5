"""The object store: what is put comes out again, and what ends early leaves nothing."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.errors import SettingsError
from shared.objects import ObjectMissing, Objects, ObjectTooLarge
from shared.settings import Secret

KEY = "files/f1/content"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a folder"


@pytest.fixture
def objects(folder: Path) -> Objects:
    return Objects(Secret(folder.as_uri()))


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_is_put_in_parts_comes_out_again_with_its_size_and_sum(objects: Objects) -> None:
    content = bytes(range(256)) * 40_000

    stored = await objects.put(
        KEY, chunks(*(content[at : at + 100_000] for at in range(0, len(content), 100_000)))
    )

    assert stored == (len(content), hashlib.sha256(content).hexdigest())
    assert b"".join([part async for part in await objects.read(KEY)]) == content
    assert b"".join([part async for part in await objects.read(KEY, first=300, length=5)]) == content[300:305]
    assert b"".join([part async for part in await objects.read(KEY, first=len(content) - 2)]) == content[-2:]
    async with objects.as_file(KEY) as path:
        assert path.read_bytes() == content


async def test_an_empty_object_is_an_object(objects: Objects) -> None:
    await objects.put(KEY, chunks())

    found = await objects.find(KEY)
    assert found is not None
    assert found.size_bytes == 0
    assert await objects.read_all(KEY, limit_bytes=0) == b""


async def test_one_byte_too_many_is_refused_and_nothing_stays(objects: Objects, folder: Path) -> None:
    with pytest.raises(ObjectTooLarge):
        await objects.put(KEY, chunks(b"x" * 6_000_000, b"y" * 6_000_000, b"z"), limit_bytes=12_000_000)

    assert await objects.find(KEY) is None
    assert files(folder) == []


async def test_a_client_who_goes_away_leaves_nothing(objects: Objects, folder: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 6_000_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await objects.put(KEY, broken())

    assert await objects.find(KEY) is None
    assert files(folder) == []


async def test_a_cancelled_put_leaves_nothing_under_the_key(objects: Objects) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 6_000_000
        started.set()
        await asyncio.Event().wait()

    putting = asyncio.create_task(objects.put(KEY, endless()))
    await started.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting

    assert await objects.find(KEY) is None


async def test_what_is_not_there_is_said_so(objects: Objects) -> None:
    assert await objects.find(KEY) is None
    await objects.delete(KEY)
    with pytest.raises(ObjectMissing):
        await objects.read(KEY)
    with pytest.raises(ObjectMissing):
        async with objects.as_file(KEY):
            pass


async def test_keys_of_a_prefix_are_listed_and_removed(objects: Objects) -> None:
    for key in ("files/f1/content", "files/f1/artifacts/a.webp", "files/f2/content"):
        await objects.put_bytes(key, b"x")

    await objects.delete("files/f1/content")

    assert [found.key async for found in objects.list("files/f1")] == ["files/f1/artifacts/a.webp"]


@pytest.mark.parametrize("url", ["file://relative/path", "nothing", "ftp://host/x"])
def test_a_url_that_names_no_store_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="FILES_URL"):
        Objects(Secret(url))
