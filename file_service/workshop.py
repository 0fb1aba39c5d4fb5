"""Where a child process works: files out of the object store in, artifacts back into it.

The store is asked in an event loop of its own, since the work itself is plain, blocking Python.
"""

import asyncio
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from file_service.findings import Limits, Made
from shared.contracts import Artifact
from shared.objects import Objects


class Workshop:
    """The object store, a temporary folder for each file, and what the work on one may take."""

    def __init__(self, objects: Objects, limits: Limits) -> None:
        self.limits = limits
        self._objects = objects
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()

    @contextmanager
    def file(self, file_id: str) -> Generator[tuple[Path, Path]]:
        """The content of a file to read, and an empty folder to write to; ObjectMissing when it is gone."""
        held = self._objects.as_file(f"files/{file_id}/content")
        path = self._runner.run(held.__aenter__())
        try:
            with tempfile.TemporaryDirectory(prefix="trunkline-file-") as folder:
                yield path, Path(folder)
        finally:
            self._runner.run(held.__aexit__(None, None, None))

    def keep(self, file_id: str, made: Sequence[Made]) -> list[Artifact]:
        """Put the artifacts into the store; a second run puts the same ones there."""
        return [self._keep(file_id, one) for one in made]

    def _keep(self, file_id: str, one: Made) -> Artifact:
        key = f"files/{file_id}/artifacts/{one.name}"
        stored = self._runner.run(self._objects.put_bytes(key, one.content))
        return Artifact(name=one.name, media_type=one.media_type, size_bytes=stored.size_bytes)
