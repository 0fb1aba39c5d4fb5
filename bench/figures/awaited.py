"""How fast one process works off jobs that each await 10 ms, up to 256 at a time."""

from functools import partial

from bench.contenders.command import AWAITED
from bench.entrants import Entrant
from bench.figures.drain import drained
from bench.plan import Step
from bench.result import Measurement
from bench.run import Run, measured
from bench.stage import stage


def steps(run: Run) -> list[Step]:
    """One step for each entrant, in the variant that it names last: of several, the one made for waiting."""
    return [
        Step(
            "awaited",
            ", ".join(word for word in (entrant.title, variant) if word),
            partial(_take, run, entrant, variant),
        )
        for entrant in run.entrants
        for variant in list(entrant.variants)[-1:]
    ]


async def _take(run: Run, entrant: Entrant, variant: str, _round: int) -> list[Measurement]:
    preloaded, jobs = await run.preloads.of(entrant, "nap")
    async with stage(entrant, variant, preloaded=preloaded, placement=run.placement) as here:
        here.start_workers(1, AWAITED)
        rate, _ = await drained(here, jobs, processes=1, limit_s=run.scale.drain_limit_s)
    return [measured(entrant, "awaited", rate, "jobs/s", variant=variant)]
