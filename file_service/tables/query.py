"""Queries on one file: SQL in, rows out; bounded in memory, deaf to every other file and to the network.

Each query runs in a thread, so that the main one can tell progress and be interrupted at the time limit.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

from file_service.findings import Limits, Progress, Unusable, in_words

_LOOK_EVERY_S: Final = 0.2
_ENDS_WITHIN_S: Final = 10.0


class Query:
    """A connection that may read one file, and write to a temporary folder of its own."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits

    def rows(self, sql: str, progress: Progress | None = None) -> list[tuple[Any, ...]]:
        """All rows of the answer; duckdb.Error as it comes, Unusable when memory does not suffice."""
        found: list[list[tuple[Any, ...]]] = []
        failed: list[BaseException] = []

        def work() -> None:
            try:
                found.append(self._connection.execute(sql).fetchall())
            except BaseException as error:  # noqa: BLE001 - raised again where the query was asked
                failed.append(error)

        working = threading.Thread(target=work, name="query", daemon=True)
        working.start()
        try:
            while working.is_alive():
                working.join(_LOOK_EVERY_S)
                self._tell(progress)
        except BaseException:
            self._connection.interrupt()
            working.join(_ENDS_WITHIN_S)
            raise
        if failed:
            raise self._explained(failed[0])
        return found[0]

    def _tell(self, progress: Progress | None) -> None:
        percent = self._connection.query_progress()
        if progress is not None and percent > 0:
            progress.at(percent / 100)

    def _explained(self, error: BaseException) -> BaseException:
        if isinstance(error, duckdb.OutOfMemoryException | MemoryError):
            memory, spill = self._limits.query_memory_bytes, self._limits.query_spill_bytes
            most = f"{in_words(memory)} of memory and {in_words(spill)} of disk"
            return Unusable(f"its profile needs more than {most} (FILE_QUERY_MEMORY, FILE_QUERY_SPILL)")
        return error


@contextmanager
def opened(path: Path, folder: Path, limits: Limits) -> Generator[Query]:
    """Queries on the file at `path`; what does not fit into memory goes to `folder`."""
    spill = folder / "spill"
    spill.mkdir(exist_ok=True)
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{limits.query_memory_bytes}B",
            "threads": limits.query_threads,
            "temp_directory": str(spill),
            "max_temp_directory_size": f"{limits.query_spill_bytes}B",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
        },
    )
    try:
        for statement in (
            "SET preserve_insertion_order = false",
            "SET TimeZone = 'UTC'",
            "SET enable_progress_bar = true",
            "SET enable_progress_bar_print = false",
            f"SET allowed_paths = [{text(str(path))}]",
            f"SET allowed_directories = [{text(str(spill))}]",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
        ):
            connection.execute(statement)
        yield Query(connection, limits)
    finally:
        connection.close()


def text(value: str) -> str:
    """The value as SQL text."""
    return "'" + value.replace("'", "''") + "'"


def name(column: str) -> str:
    """The name of a column in SQL."""
    return '"' + column.replace('"', '""') + '"'
