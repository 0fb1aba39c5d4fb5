"""A service of a user's own, for `faststream run tests.shared.counting_app:app`."""

import os

from shared.contracts import UserRegistered
from shared.jobs import Handlers
from shared.service import Service
from shared.settings import Settings

handlers = Handlers("counting")


@handlers.on(UserRegistered)
async def count(event: UserRegistered) -> dict[str, int]:
    """Say which process ran it."""
    del event
    return {"pid": os.getpid()}


app = Service("counting", handlers, Settings.load())
