from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.monitor.running import Running, running


@pytest.fixture
async def monitor(tmp_path: Path) -> AsyncGenerator[Running]:
    async with running(tmp_path) as started:
        yield started
