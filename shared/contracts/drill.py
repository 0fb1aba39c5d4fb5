"""What a drill asks of its own workers (`trunkline drill`)."""

from typing import Annotated, ClassVar

from pydantic import Field

from shared.contracts.event import Event


class DrillRequested(Event):
    """A row is to be written, once; only the workers of `trunkline drill` listen."""

    type: ClassVar[str] = "drill.requested"

    n: Annotated[int, Field(ge=0)]
    """Which of the drill's jobs it is."""
