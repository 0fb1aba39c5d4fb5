"""A served gateway whose files lie in a folder of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx import AsyncClient

from gateway.settings import GatewaySettings
from shared.settings import Secret
from tests.gateway.door.conftest import engine, query, redis, served, settings

__all__ = ["engine", "query", "redis", "settings"]

MOST_BYTES = 1_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def file_settings(settings: GatewaySettings, folder: Path) -> GatewaySettings:
    return settings.model_copy(
        update={
            "files_url": Secret(folder.as_uri()),
            "file_max_bytes": MOST_BYTES,
            "body_max": 1000,
            "handles_events": True,
        }
    )


@pytest.fixture
async def client(file_settings: GatewaySettings) -> AsyncIterator[AsyncClient]:
    async with served(file_settings) as client:
        yield client


def kept(folder: Path) -> list[Path]:
    """Every file in the store, also those that it would not list."""
    return [path for path in folder.rglob("*") if path.is_file()]
