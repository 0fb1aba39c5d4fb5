"""Which servers are started and which are given: the environment and a data folder in, Backends out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.servers import NatsServer, PostgresServer, RedisServer, SmtpInbox, WarehouseReceiver

if TYPE_CHECKING:
    from launcher.data_folder import DataFolder
    from launcher.environment import Given
    from launcher.servers import Server


@dataclass(frozen=True)
class Backends:
    """URLs of all, and the servers that are ours to start; None for one that the user runs."""

    redis_url: str
    nats_url: str
    postgres_url: str
    smtp_url: str
    redis: RedisServer | None
    nats: NatsServer | None
    postgres: PostgresServer | None
    inbox: SmtpInbox | None
    warehouse: WarehouseReceiver | None

    def in_stop_order(self) -> tuple[Server, ...]:
        """The database last: the others may still write to it. Starting needs no order."""
        every = (self.inbox, self.warehouse, self.nats, self.redis, self.postgres)
        return tuple(server for server in every if server is not None)


def choose_backends(given: Given, folder: DataFolder, *, has_inventory: bool) -> Backends:
    """A server of our own for each URL that the user did not give; a warehouse for an inventory to tell."""
    redis_url, nats_url = given.get("REDIS_URL"), given.get("NATS_URL")
    postgres_url, smtp_url = given.get("DATABASE_URL"), given.get("SMTP_URL")
    redis = None if redis_url else RedisServer(folder.part("redis"))
    nats = None if nats_url else NatsServer(folder.part("nats"))
    postgres = None if postgres_url else PostgresServer(folder.part("postgres"))
    inbox = None if smtp_url else SmtpInbox(folder.part("mail"))
    return Backends(
        redis_url=redis_url or _url(redis),
        nats_url=nats_url or _url(nats),
        postgres_url=postgres_url or _url(postgres),
        smtp_url=smtp_url or _url(inbox),
        redis=redis,
        nats=nats,
        postgres=postgres,
        inbox=inbox,
        warehouse=_warehouse(given, folder) if has_inventory else None,
    )


def _warehouse(given: Given, folder: DataFolder) -> WarehouseReceiver | None:
    # Who says where webhooks may go does not mean our loopback.
    if given.get("WAREHOUSE_URL") or given.get("WAREHOUSE_ALLOW"):
        return None
    secret = given.get("WAREHOUSE_SECRET") or folder.warehouse_secret()
    return WarehouseReceiver(folder.part("warehouse.jsonl"), secret)


def _url(server: Server | None) -> str:
    return server.url if server else ""
