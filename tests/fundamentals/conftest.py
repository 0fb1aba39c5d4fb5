"""The lab of the conformance suite, on Redis: one bus is enough to learn on."""

import pytest

from tests.conformance.conftest import lab, make_lab

__all__ = ["lab", "make_lab"]


@pytest.fixture
def bus_name() -> str:
    return "redis"
