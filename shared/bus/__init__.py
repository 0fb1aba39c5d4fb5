"""HOW IT TRAVELS: events onto Redis Streams and NATS JetStream, and from them to whoever handles them."""

from shared.bus.backlog import Backlog, together
from shared.bus.bus import Bus
from shared.bus.coalescer import Coalescer
from shared.bus.delivery import Delivery, Intake, Receiver
from shared.bus.direct import UNIQUE_FOR, Order, direct_event
from shared.bus.places import Message, Places, place_of_token
from shared.bus.queues import Enqueued, Queues
from shared.bus.routes import BusName, Routes

__all__ = [
    "UNIQUE_FOR",
    "Backlog",
    "Bus",
    "BusName",
    "Coalescer",
    "Delivery",
    "Enqueued",
    "Intake",
    "Message",
    "Order",
    "Places",
    "Queues",
    "Receiver",
    "Routes",
    "direct_event",
    "place_of_token",
    "together",
]
