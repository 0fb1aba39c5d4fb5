"""One gateway with one worker for all tests of a file."""

from collections.abc import Iterator

import pytest
from operating import System, quiet, running

from tests.conftest import Servers


@pytest.fixture(autouse=True)
def logging_of_one_test() -> None:
    """The gateway outlives a test, and so does how it logs."""


@pytest.fixture(scope="module")
def system(servers: Servers, migrated: str) -> Iterator[System]:
    with quiet(), running(servers, migrated) as system:
        yield system
