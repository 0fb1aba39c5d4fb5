"""What the gateway says: a user was registered."""

from typing import ClassVar

from shared.contracts.event import Address, EntityId, Event, Name


class UserRegistered(Event):
    """Somebody has an account now."""

    type: ClassVar[str] = "user.registered"

    user_id: EntityId
    name: Name
    email: Address
