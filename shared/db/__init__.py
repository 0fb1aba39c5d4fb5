"""Postgres: an engine for a service in, that service's schema brought up to date."""

from shared.db.engine import DatabaseUrl, check, connect
from shared.db.inbox import create_inbox, drop_inbox, prune_inbox
from shared.db.migrate import migrate

__all__ = ["DatabaseUrl", "check", "connect", "create_inbox", "drop_inbox", "migrate", "prune_inbox"]
