"""What lies in the object store without a row: a day in, how many objects were removed out."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.door.uuids import as_uuid
from gateway.files.book import FileBook
from gateway.files.upload import FILES
from shared.objects import Found, Objects

KEPT_FOR: Final = timedelta(days=1)
"""Longer than any upload takes: one that is under way has no row, either."""

_AT_A_TIME: Final = 500


async def remove_orphans(objects: Objects, book: FileBook, *, older_than: timedelta = KEPT_FOR) -> int:
    """Remove what uploads that failed, and files that were removed, have left; idempotent."""
    oldest = datetime.now(UTC) - older_than
    removed, some = await objects.remove_unfinished(before=oldest), list[Found]()
    async for found in objects.list(FILES):
        if found.modified_at < oldest:
            some.append(found)
        if len(some) == _AT_A_TIME:
            removed += await _remove_unknown(objects, book, some)
            some = []
    return removed + await _remove_unknown(objects, book, some)


async def remove_all_of(objects: Objects, file_id: str) -> None:
    """Remove the bytes of a file and what was made from them; harmless when they are gone."""
    keys = [found.key async for found in objects.list(f"{FILES}/{file_id}")]
    for key in keys:
        await objects.delete(key)


async def _remove_unknown(objects: Objects, book: FileBook, some: Sequence[Found]) -> int:
    ids = {found.key: as_uuid(found.key.split("/")[1]) for found in some}
    unknown = await book.unknown(sorted({id_ for id_ in ids.values() if id_}))
    orphans = [key for key, id_ in ids.items() if id_ in unknown]
    for key in orphans:
        await objects.delete(key)
    return len(orphans)
