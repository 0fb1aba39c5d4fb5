"""Real servers for one machine: a data folder in; `url`, start(), stop(), kill(), start() again, out."""

from launcher.servers.nats import NatsServer
from launcher.servers.postgres import PostgresServer
from launcher.servers.redis import RedisServer
from launcher.servers.server import Server
from launcher.servers.smtp import SmtpInbox
from launcher.servers.warehouse import WarehouseReceiver

__all__ = ["NatsServer", "PostgresServer", "RedisServer", "Server", "SmtpInbox", "WarehouseReceiver"]
