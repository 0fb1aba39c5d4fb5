"""How many jobs one program enqueues in a second: one call after the other, and in bulk."""

from functools import partial

from bench.entrants import Entrant
from bench.plan import Step
from bench.result import Measurement
from bench.run import Run, measured
from bench.stage import stage


def steps(run: Run) -> list[Step]:
    """One step for each entrant: both ways on the same fresh servers."""
    return [Step("enqueue", entrant.title, partial(_take, run, entrant)) for entrant in run.entrants]


async def _take(run: Run, entrant: Entrant, _round: int) -> list[Measurement]:
    found: list[Measurement] = []
    seconds = ("--seconds", str(run.scale.enqueue_s))
    async with stage(entrant, placement=run.placement) as here:
        one = await here.ask("enqueue_one", *seconds)
        found.append(measured(entrant, "enqueue_one", one["jobs"] / one["took_s"], "calls/s"))
        if entrant.bulk:
            many = await here.ask("enqueue_many", *seconds)
            found.append(measured(entrant, "enqueue_many", many["jobs"] / many["took_s"], "jobs/s"))
    return found
