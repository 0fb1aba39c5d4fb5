"""A file examined in this process, as a child process would."""

from collections.abc import Callable
from pathlib import Path

import pytest

from file_service.examination import examine
from file_service.findings import Findings, Limits, Subject

Examine = Callable[..., Findings]


@pytest.fixture
def looked_at(tmp_path: Path) -> Examine:
    def run(
        name: str,
        content: bytes,
        *,
        declared: str = "application/octet-stream",
        limits: Limits | None = None,
        told: list[tuple[float, float, str]] | None = None,
    ) -> Findings:
        path, folder = tmp_path / "content", tmp_path / "work"
        path.write_bytes(content)
        folder.mkdir(exist_ok=True)

        def tell(done: float, total: float, note: str) -> None:
            if told is not None:
                told.append((done, total, note))

        subject = Subject(path=path, name=name, declared=declared, size_bytes=len(content))
        return examine(subject, folder, limits or Limits(), tell)

    return run
