"""How long a job takes to an idle worker, and what that worker costs while it has nothing to do."""

from functools import partial

from bench import tally
from bench.entrants import Entrant
from bench.figures.footprint import footprint
from bench.plan import Step
from bench.result import Measurement, percentile
from bench.run import Run, measured
from bench.stage import stage

_VARIANTS = ("", "tuned")


def steps(run: Run) -> list[Step]:
    """One step for each entrant as it is by default, one more where it is tuned for it."""
    return [
        Step(
            "pickup",
            ", ".join(word for word in (entrant.title, variant) if word),
            partial(_take, run, entrant, variant),
        )
        for entrant in run.entrants
        for variant in entrant.variants
        if variant in _VARIANTS
    ]


async def _take(run: Run, entrant: Entrant, variant: str, _round: int) -> list[Measurement]:
    samples = run.scale.samples
    async with stage(entrant, variant, placement=run.placement) as here:
        here.start_workers(1, entrant.concurrency)
        await here.ask("pickup", "--samples", str(samples), "--gap-ms", str(run.scale.gap_ms))
        await here.until(
            lambda: len(tally.read_latencies(here.tallies)) >= samples, what="end of the last job"
        )
        latencies_ms = [ns / 1e6 for ns in tally.read_latencies(here.tallies)]
        idle = await footprint(here, run.scale.idle_s)
    return [
        measured(entrant, "pickup_p50", percentile(latencies_ms, 0.5), "ms", variant=variant),
        measured(entrant, "pickup_p99", percentile(latencies_ms, 0.99), "ms", variant=variant),
        *idle,
    ]
