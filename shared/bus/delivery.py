"""The seam between the buses and the jobs: what an intake hands up, and what it asks of whom it hands to."""

from collections.abc import Sequence
from typing import Any, Protocol

from shared.bus.routes import BusName
from shared.contracts import Envelope
from shared.errors import ContractError


class Delivery:
    """One message, taken and not yet acknowledged."""

    __slots__ = ("channel", "envelope", "event_id", "fault", "handle", "intake", "raw", "token")

    def __init__(
        self,
        intake: "Intake",
        *,
        token: str,
        channel: str,
        handle: Any,
        envelope: Envelope | None = None,
        event_id: str = "",
        fault: ContractError | None = None,
        raw: bytes = b"",
    ) -> None:
        self.intake = intake
        self.token = token
        """Names the message itself: the same message, delivered again, has the same token."""
        self.channel = channel
        """The stream or subject that it lay on."""
        self.handle = handle
        """What the intake needs to acknowledge it."""
        self.envelope = envelope
        """The event; None for a mere reference to a job, and for bytes that are no event."""
        self.event_id = envelope.id if envelope is not None else event_id
        self.fault = fault
        """Why the bytes are no event."""
        self.raw = raw


class Intake(Protocol):
    """One handler's messages from one bus."""

    bus: BusName

    async def start(self) -> None:
        """Begin to take messages."""
        ...

    async def stop(self) -> None:
        """Take no more; what is taken stays until it is acknowledged or handed back."""
        ...

    def ack(self, delivery: Delivery) -> None:
        """The message is done with; sent together with others, soon."""
        ...

    def forget(self, delivery: Delivery) -> None:
        """Neither acknowledge nor keep it: the bus will deliver it again, to whom it likes."""
        ...

    async def hand_back(self, deliveries: Sequence[Delivery]) -> None:
        """Let the bus deliver these again at once, to anybody."""
        ...

    async def leave(self) -> None:
        """Return when every acknowledgement is sent and the bus knows that we are gone."""
        ...


class Receiver(Protocol):
    """Who works on what an intake takes."""

    async def room(self) -> int:
        """How many messages can be worked on now; waits until there is room for one."""
        ...

    async def receive(self, deliveries: list[Delivery]) -> None:
        """Take these on; returns when there may be room for more."""
        ...
