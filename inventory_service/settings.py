"""What the inventory service reads from the environment, beside what every process reads."""

from typing import Annotated

from pydantic import Field

from shared.settings import Secret, Settings


class InventorySettings(Settings):
    """The settings of one inventory service process."""

    database_url: Secret = Secret("postgresql://127.0.0.1:5432/trunkline")
    """Postgres: stock, reservations, and which jobs had their effect."""
    database_pool_size: Annotated[int, Field(ge=1, le=50)] = 16
    """How many connections to Postgres are kept: as many as orders and goods are worked on at a time."""
