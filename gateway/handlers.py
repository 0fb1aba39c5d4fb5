"""What the gateway takes from the bus: what became of that which it announced, entered in its own tables."""

from shared.jobs import Handlers

handlers = Handlers("gateway")
