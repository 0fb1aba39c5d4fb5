"""Where a child process works: files out of the object store in, artifacts back into it.

The store is asked in an event loop of its own, since the work itself is plain, blocking Python.
"""

import asyncio
import re
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from file_service.findings import Findings, Limits, Made, Subject, Tell
from shared.contracts import Artifact
from shared.objects import ObjectMissing, Objects

Examination = Callable[[Subject, Path, Limits, Tell], Findings]

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Workshop:
    """The object store, a temporary folder for each file, and what the work on one may take."""

    def __init__(self, objects: Objects, limits: Limits, examination: Examination) -> None:
        self._limits = limits
        self._examination = examination
        self._objects = objects
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()

    @contextmanager
    def file(self, file_id: str) -> Generator[tuple[Path, Path]]:
        """The content of a file to read, and an empty folder to write to; ObjectMissing when it is gone."""
        if not _ID.fullmatch(
            file_id
        ):  # it becomes a part of a path, and anybody may have published the event
            raise ObjectMissing(f"files/{file_id}/content")
        held = self._objects.as_file(f"files/{file_id}/content")
        path = self._runner.run(held.__aenter__())
        try:
            with tempfile.TemporaryDirectory(prefix="trunkline-file-") as folder:
                yield path, Path(folder)
        finally:
            self._runner.run(held.__aexit__(None, None, None))

    def examine(self, subject: Subject, folder: Path, tell: Tell) -> Findings:
        """What is in the file; Unusable when it cannot be used."""
        return self._examination(subject, folder, self._limits, tell)

    def keep(self, file_id: str, made: Sequence[Made]) -> list[Artifact]:
        """Put the artifacts into the store; a second run puts the same ones there."""
        return [self._keep(file_id, one) for one in made]

    def _keep(self, file_id: str, one: Made) -> Artifact:
        key = f"files/{file_id}/artifacts/{one.name}"
        stored = self._runner.run(self._objects.put_bytes(key, one.content))
        return Artifact(name=one.name, media_type=one.media_type, size_bytes=stored.size_bytes)
