"""`python -m bench`: all figures of this machine, beside those of the peers, in one run."""

import argparse
import asyncio
import importlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import ModuleType
from typing import Any

import uvloop

from bench.entrants import OURS, PEERS, entrants
from bench.machine import machine, versions
from bench.plan import Scale, take, tell
from bench.result import Measurement, Results, now
from bench.run import Run
from bench.stage import Preloads
from bench.table import table
from bench.watch import Watch

ALL = ("enqueue", "drain", "pickup", "awaited")
"""Files of bench/figures whose steps are taken of every contender; `pickup` takes the footprint too."""
OWN = ("door", "backlog", "guarantees", "fanout", "delayed")
"""Files of bench/figures that measure Trunkline, and who they compare it with, by themselves."""


_ENDED = 130


async def _measure(chosen: argparse.Namespace, scale: Scale) -> Results:
    """All figures that were chosen, whatever becomes of single ones."""
    began, watch, load, taken_at = time.monotonic(), Watch.start(), os.getloadavg(), now()
    found, failures = await entrants(chosen.contenders)
    for why in failures:
        tell(why)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        preloads = Preloads(folder / "preloaded", jobs=scale.jobs, limit_s=scale.preload_limit_s)
        run = Run(entrants=found, scale=scale, preloads=preloads, placement=chosen.pin)
        steps = [step for figure in ALL if figure in chosen.only for step in _file(figure).steps(run)]
        measurements, failed = await take(steps, scale.rounds)
        failures += failed
        for figure in OWN:
            if figure in chosen.only:
                taken, failed = await _own(figure, scale)
                measurements += taken
                failures += failed
        return Results(
            taken_at=taken_at,
            machine=machine(load, watch.steal()),
            versions=await versions(found, folder / "servers"),
            rounds=scale.rounds,
            took_s=round(time.monotonic() - began, 1),
            measurements=measurements,
            notes={entrant.name: entrant.note for entrant in found},
            failures=failures,
        )


async def _own(figure: str, scale: Scale) -> tuple[list[Measurement], list[str]]:
    try:
        return await _file(figure).measure(rounds=scale.rounds, quick=scale.is_quick, say=tell), []
    except Exception as error:  # noqa: BLE001 - one figure that fails must not cost all others
        tell(f"{figure}: {error or repr(error)}")
        return [], [f"{figure}: {error or repr(error)}"]


def _file(figure: str) -> ModuleType:
    return importlib.import_module(f"bench.figures.{figure}")


def _words(allowed: tuple[str, ...]) -> Callable[[str], list[str]]:
    def split(text: str) -> list[str]:
        words = text.split(",")
        if unknown := sorted(set(words) - set(allowed)):
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(allowed)}")
        return words

    return split


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    figures, contenders = (*ALL, *OWN), (*OURS, *PEERS)
    parser.add_argument(
        "--only", type=_words(figures), default=list(figures), metavar="FIGURE,...", help=", ".join(figures)
    )
    parser.add_argument(
        "--contenders",
        type=_words(contenders),
        default=list(contenders),
        metavar="NAME,...",
        help=", ".join(contenders),
    )
    parser.add_argument("--rounds", type=int, help="how often each is measured, in turns; 3")
    parser.add_argument("--quick", action="store_true", help="one short round: whether all of it works")
    parser.add_argument(
        "--pin",
        choices=["free", "apart", "together"],
        default="free",
        help="where they run: anywhere; workers on the first core, servers on the second; all on the first",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results for programs")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page, docs/performance.md")
    return parser


async def _until_told(measuring: Coroutine[Any, Any, Results]) -> Results:
    """SIGTERM ends the run as Ctrl-C does, but what is open is closed first; a second one changes nothing."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(measuring)

    def end() -> None:
        loop.add_signal_handler(signal.SIGTERM, lambda: None)
        task.cancel()

    loop.add_signal_handler(signal.SIGTERM, end)
    return await task


def main() -> int:
    """Measure, print the table, write what is asked for; 1 when something could not be measured."""
    chosen = _parser().parse_args()
    scale = Scale.quick() if chosen.quick else Scale()
    if chosen.rounds:
        scale = scale.of(chosen.rounds)
    try:
        results = uvloop.run(_until_told(_measure(chosen, scale)))
    except (asyncio.CancelledError, KeyboardInterrupt):
        tell("ended before it was through; nothing is written")
        return _ENDED
    if chosen.json:
        results.save(chosen.json)
    if chosen.page:
        for path in importlib.import_module("bench.page").write_page(results, chosen.page):
            tell(f"wrote {path}")
    sys.stdout.write(f"{table(results)}\n")
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
