"""HOW IT TRAVELS: events onto Redis Streams and NATS JetStream, and from them to whoever handles them."""

from shared.bus.bus import Bus
from shared.bus.coalescer import Coalescer
from shared.bus.delivery import Delivery, Intake, Receiver
from shared.bus.places import Message, Places, place_of_token
from shared.bus.routes import BusName, Routes

__all__ = [
    "Bus",
    "BusName",
    "Coalescer",
    "Delivery",
    "Intake",
    "Message",
    "Places",
    "Receiver",
    "Routes",
    "place_of_token",
]
