"""What all figures of one run share: who takes part, how much of everything, what is preloaded."""

from dataclasses import dataclass

from bench.entrants import Entrant
from bench.plan import Scale
from bench.result import Measurement
from bench.stage import Placement, Preloads


@dataclass(frozen=True, kw_only=True)
class Run:
    """Handed to the `steps` of each figure."""

    entrants: list[Entrant]
    scale: Scale
    preloads: Preloads
    placement: Placement = "free"


def measured(
    entrant: Entrant, figure: str, value: float, unit: str, *, variant: str = "", note: str = ""
) -> Measurement:
    """One value of one round; the plan adds the load."""
    return Measurement(
        figure=figure,
        contender=entrant.name,
        title=entrant.title,
        variant=variant,
        unit=unit,
        values=[value],
        load=[],
        note=note,
    )
