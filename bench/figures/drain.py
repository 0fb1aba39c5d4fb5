"""How fast workers work off a backlog that was there before they started."""

import time
from dataclasses import dataclass, replace

from bench import tally
from bench.entrants import Entrant
from bench.plan import Step
from bench.result import Measurement
from bench.run import Run, measured
from bench.stage import Placement, Stage, stage

_AHEAD = 1_024
"""Jobs of a run that was cut short that may be counted before their end is written."""


def steps(run: Run) -> list[Step]:
    """One process for each variant, two for the plain one; once more on one core where that suits it."""
    drains = [_Drain(run, entrant, variant) for entrant in run.entrants for variant in entrant.variants]
    if run.placement == "free":
        drains += [
            replace(drain, on_one_core=True)
            for drain in drains
            if drain.entrant.one_core and not drain.variant
        ]
    drains += [_Drain(run, entrant, processes=2) for entrant in run.entrants]
    return [Step("drain", f"{drain.entrant.title}, {drain.label}", drain.take) for drain in drains]


@dataclass(frozen=True)
class _Drain:
    run: Run
    entrant: Entrant
    variant: str = ""
    processes: int = 1
    on_one_core: bool = False

    @property
    def label(self) -> str:
        processes = "1 process" if self.processes == 1 else f"{self.processes} processes"
        words = (self.variant, processes, "one core" if self.on_one_core else "")
        return ", ".join(word for word in words if word)

    async def take(self, round_: int) -> list[Measurement]:
        entrant, limit_s = self.entrant, self.run.scale.drain_limit_s
        placement: Placement = "together" if self.on_one_core else self.run.placement
        preloaded, jobs = await self.run.preloads.of(entrant, "noop")
        async with stage(entrant, self.variant, preloaded=preloaded, placement=placement) as here:
            here.start_workers(self.processes, entrant.concurrency)
            rate, note = await drained(here, jobs, processes=self.processes, limit_s=limit_s)
            if entrant.keeps_result and (round_ == 0 or entrant.name.startswith("trunkline")):
                await here.stop_workers()
                note = note or await _checked(here, jobs)
        return [measured(entrant, "drain", rate, "jobs/s", variant=self.label, note=note)]


async def drained(here: Stage, jobs: int, *, processes: int, limit_s: float) -> tuple[float, str]:
    """Jobs a second while all processes work, and what is to be said of it: until all are done, or so long.

    The clock starts with the first job of the process that starts last.
    """
    await here.until(
        lambda: tally.processes(here.tallies) >= processes or tally.read(here.tallies).jobs >= jobs,
        what="first job",
    )
    before, began_ns = tally.read(here.tallies), time.time_ns()
    together = before.jobs < jobs
    if processes == 1 or not together:
        before, began_ns = tally.Count(1, before.first_ns, before.first_ns), before.first_ns
    ends_at = began_ns + int(limit_s * 1e9)
    await here.until(
        lambda: tally.read(here.tallies).jobs >= jobs or time.time_ns() >= ends_at,
        what="end",
        within_s=limit_s + 10,
    )
    count = tally.read(here.tallies)
    if count.last_ns <= began_ns:
        raise RuntimeError(f"{count.jobs} of {jobs} jobs were done when the clock started, and no more after")
    rate = (count.jobs - before.jobs) / ((count.last_ns - began_ns) / 1e9)
    return rate, "" if processes == 1 or together else "the first process did all before the second began"


async def _checked(here: Stage, jobs: int) -> str:
    """Whether what was run is kept as succeeded; RuntimeError when it is not."""
    done = min(jobs, tally.read(here.tallies).jobs)
    kept = int((await here.ask("states"))["states"])
    if kept < 0:
        return ""
    if kept < (jobs if done == jobs else done - _AHEAD):
        raise RuntimeError(f"{done} jobs ran, {kept} are kept as succeeded with a result")
    return "status and result of all jobs checked" if done == jobs else "status and result checked"
