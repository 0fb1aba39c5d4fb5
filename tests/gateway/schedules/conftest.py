"""One gateway over a socket for all tests of a file; each test has schedules of its own names."""

from tests.gateway.door.conftest import client, query, settings

__all__ = ["client", "query", "settings"]
