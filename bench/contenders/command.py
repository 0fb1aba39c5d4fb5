"""The command line of every contender: a verb in, one line of JSON out. Only the standard library.

A contender's file ends with

    if __name__ == "__main__":
        main(CONTENDER, enqueue_one=..., enqueue_nap=..., enqueue_stamp=..., worker_argv=..., ...)

Its functions may be plain or coroutines. It runs as `__main__` here and under its own name in its worker:
where a task's name is made from its module, name the task yourself. REDIS_URL (and NATS_URL) are in the
environment of all verbs and of the worker, BENCH_VARIANT and the variant's own variables too.

Its worker runs `noop(parcel_id, sku, note)`, which calls tally.hit() and returns {"taken": sku}; `nap` with
the same arguments, which awaits 10 ms first; and `stamp(sent_ns)`, which calls tally.latency(now - sent_ns).
"""

import argparse
import asyncio
import importlib.metadata
import inspect
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import tally

NAP_S = 0.01
AWAITED = 256
"""What a worker is asked for where jobs await."""
VARIANT = "BENCH_VARIANT"
_TOGETHER = 64
_START_LIMIT_S = 30.0
_AGAIN_S = 0.2
_QUIET_S = 0.6


@dataclass(frozen=True, kw_only=True)
class Contender:
    """What the bench and the page know about one contender."""

    title: str
    packages: tuple[str, ...]
    """Distributions whose versions are told."""
    note: str
    """One line: the production settings it runs with."""
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {"": {}})
    """By name ("" is the plain one): variables of the environment of all its processes."""
    acknowledges: bool
    """A job survives the death of its worker."""
    keeps_result: bool
    """Status and result can be read afterwards."""
    concurrency: int = 256
    """What its worker is asked for where the job awaits nothing."""
    bus: str = "redis"
    """`nats` where NATS is needed too."""
    jobs_factor: int = 1
    """So many times the usual number of jobs: else they are done before they can be counted."""
    one_core: bool = False
    """Its drain is measured once more with worker and servers on one core, the placement that suits it."""


@dataclass(frozen=True, kw_only=True)
class _Functions:
    enqueue_one: Callable[[int], Any]
    enqueue_many: Callable[[int, int], Any] | None
    enqueue_nap: Callable[[int], Any]
    enqueue_naps: Callable[[int, int], Any] | None
    enqueue_stamp: Callable[[int], Any]
    prepare: Callable[[], Any] | None
    states: Callable[[], Any] | None


def payload(n: int) -> tuple[str, str, str]:
    """The n-th job's parcel_id, sku and note: about 200 bytes with their names."""
    return f"parcel-{n:08}", f"sku-{n % 50}", "x" * 120


def main(
    contender: Contender,
    *,
    enqueue_one: Callable[[int], Any],
    enqueue_nap: Callable[[int], Any],
    enqueue_stamp: Callable[[int], Any],
    worker_argv: Callable[[int, str], list[str]],
    enqueue_many: Callable[[int, int], Any] | None = None,
    enqueue_naps: Callable[[int, int], Any] | None = None,
    prepare: Callable[[], Any] | None = None,
    states: Callable[[], Any] | None = None,
    opened: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
    run: Callable[[Coroutine[Any, Any, Any]], Any] = asyncio.run,
) -> None:
    """Do what the command line asks for and print what came of it.

    `enqueue_many(first, count)` enqueues jobs first .. first + count - 1 in the fastest public way, None
    where there is none; `enqueue_naps` likewise. `enqueue_stamp(sent_ns)` enqueues one `stamp`. `prepare`
    makes what must exist before the first job, such as a consumer group. `states` counts the jobs whose
    success and result are stored. `worker_argv(concurrency, variant)` is asked before any server runs: the
    worker itself reads its URLs from its environment. `opened` is entered around all of these, in the loop
    that `run` makes.
    """
    chosen = _parser(contender).parse_args()
    if chosen.verb == "describe":
        return _say(_described(contender, worker_argv, bulk=enqueue_many is not None))
    if chosen.verb == "worker-argv":
        return _say({"argv": worker_argv(chosen.concurrency, chosen.variant)})
    functions = _Functions(
        enqueue_one=enqueue_one,
        enqueue_many=enqueue_many,
        enqueue_nap=enqueue_nap,
        enqueue_naps=enqueue_naps,
        enqueue_stamp=enqueue_stamp,
        prepare=prepare,
        states=states,
    )

    async def work() -> dict[str, Any]:
        async with opened() if opened else nullcontext():
            return await _VERBS[chosen.verb](functions, chosen)

    return _say(run(work()))


def python(*words: str) -> list[str]:
    """A worker's command line that runs `python -m words...` of this environment."""
    return [sys.executable, "-m", *words]


def program(name: str, *words: str) -> list[str]:
    """A worker's command line that runs a program of this environment: bin/arq, bin/celery."""
    return [str(Path(sys.executable).with_name(name)), *words]


async def _preload(functions: _Functions, chosen: argparse.Namespace) -> dict[str, Any]:
    """Enqueue so many jobs as fast as can be, or as many as fit into the limit."""
    await _do(functions.prepare)
    nap = chosen.task == "nap"
    many = functions.enqueue_naps if nap else functions.enqueue_many
    one = functions.enqueue_nap if nap else functions.enqueue_one
    until = time.monotonic() + chosen.limit_s
    at = 0
    while at < chosen.jobs and time.monotonic() < until:
        count = min(500 if many else _TOGETHER, chosen.jobs - at)
        if many:
            await _do(many, at, count)
        else:
            pending = [one(n) for n in range(at, at + count)]
            await asyncio.gather(*(each for each in pending if inspect.isawaitable(each)))
        at += count
    return {"jobs": at}


async def _enqueue_one(functions: _Functions, chosen: argparse.Namespace) -> dict[str, Any]:
    await _do(functions.prepare)
    await _do(functions.enqueue_one, 10**7)  # connections, scripts
    began = time.monotonic()
    until = began + chosen.seconds
    for calls in itertools.count(1):
        await _do(functions.enqueue_one, calls)
        if time.monotonic() >= until:
            return {"jobs": calls, "took_s": time.monotonic() - began}
    raise AssertionError


async def _enqueue_many(functions: _Functions, chosen: argparse.Namespace) -> dict[str, Any]:
    if functions.enqueue_many is None:
        raise SystemExit("has no way to enqueue many jobs at once")
    await _do(functions.prepare)
    await _do(functions.enqueue_many, 10**7, 1)
    began = time.monotonic()
    until = began + chosen.seconds
    for calls in itertools.count(1):
        await _do(functions.enqueue_many, calls * chosen.batch, chosen.batch)
        if time.monotonic() >= until:
            return {"jobs": calls * chosen.batch, "took_s": time.monotonic() - began}
    raise AssertionError


async def _pickup(functions: _Functions, chosen: argparse.Namespace) -> dict[str, Any]:
    """Wait for the worker, then enqueue one job after the other: each comes to an idle worker."""
    folder = Path(os.environ[tally.FOLDER])
    await _until_it_works(functions, folder)
    tally.forget_latencies(folder)
    for _ in range(chosen.samples):
        await _do(functions.enqueue_stamp, time.time_ns())
        await asyncio.sleep(chosen.gap_ms / 1000)
    return {"sent": chosen.samples}


async def _until_it_works(functions: _Functions, folder: Path) -> None:
    """Enqueue until a job has run; return when no more of these come in."""
    until = time.monotonic() + _START_LIMIT_S
    seen, seen_at, sent_at = 0, 0.0, 0.0
    while not seen or time.monotonic() - seen_at < _QUIET_S:
        now = time.monotonic()
        if now > until:
            raise SystemExit(f"no worker ran a job within {_START_LIMIT_S:.0f} s")
        if not seen and now - sent_at > _AGAIN_S:
            await _do(functions.enqueue_stamp, time.time_ns())
            sent_at = now
        came = len(tally.read_latencies(folder))
        if came != seen:
            seen, seen_at = came, now
        await asyncio.sleep(0.01)


async def _prepare(functions: _Functions, chosen: argparse.Namespace) -> dict[str, Any]:
    del chosen
    await _do(functions.prepare)
    return {}


async def _states(functions: _Functions, chosen: argparse.Namespace) -> dict[str, Any]:
    del chosen
    return {"states": await _do(functions.states) if functions.states else -1}


_VERBS: dict[str, Callable[[_Functions, argparse.Namespace], Coroutine[Any, Any, dict[str, Any]]]] = {
    "preload": _preload,
    "enqueue_one": _enqueue_one,
    "enqueue_many": _enqueue_many,
    "pickup": _pickup,
    "prepare": _prepare,
    "states": _states,
}


async def _do(function: Callable[..., Any] | None, *arguments: Any) -> Any:
    if function is None:
        return None
    answer = function(*arguments)
    return await answer if inspect.isawaitable(answer) else answer


def _described(
    contender: Contender, worker_argv: Callable[[int, str], list[str]], *, bulk: bool
) -> dict[str, Any]:
    return {
        "title": contender.title,
        "note": contender.note,
        "variants": {name: dict(variables) for name, variables in contender.variants.items()},
        "acknowledges": contender.acknowledges,
        "keeps_result": contender.keeps_result,
        "concurrency": contender.concurrency,
        "bus": contender.bus,
        "jobs_factor": contender.jobs_factor,
        "one_core": contender.one_core,
        "workers": {
            variant: {
                str(concurrency): worker_argv(concurrency, variant)
                for concurrency in (contender.concurrency, AWAITED)
            }
            for variant in contender.variants
        },
        "bulk": bulk,
        "versions": {name: importlib.metadata.version(name) for name in contender.packages},
    }


def _parser(contender: Contender) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=contender.title)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name in ("describe", "prepare", "states"):
        verbs.add_parser(name)
    preload = verbs.add_parser("preload")
    preload.add_argument("--jobs", type=int, required=True)
    preload.add_argument("--task", choices=["noop", "nap"], default="noop")
    preload.add_argument("--limit-s", type=float, default=60.0)
    for name in ("enqueue_one", "enqueue_many"):
        enqueue = verbs.add_parser(name)
        enqueue.add_argument("--seconds", type=float, default=2.0)
        enqueue.add_argument("--batch", type=int, default=500)
    pickup = verbs.add_parser("pickup")
    pickup.add_argument("--samples", type=int, default=100)
    pickup.add_argument("--gap-ms", type=float, default=20.0)
    worker = verbs.add_parser("worker-argv")
    worker.add_argument("--concurrency", type=int, default=contender.concurrency)
    worker.add_argument("--variant", choices=list(contender.variants), default="")
    return parser


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
