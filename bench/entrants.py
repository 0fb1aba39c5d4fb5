"""The files of bench/contenders in, who takes part out: what each says of itself, and answers when asked."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench import peers_venv

ROOT = Path(__file__).parents[1]
OURS = ("floor_ack", "floor_state", "trunkline", "trunkline_nats")
PEERS = ("celery", "arq", "taskiq", "saq", "dramatiq", "huey", "streaq", "docket", "rq", "faststream")
_LIMIT_S = 120.0


class Entrant(msgspec.Struct, frozen=True, kw_only=True):
    """One contender, as its own `describe` says; see bench/contenders/command.py for the fields."""

    name: str
    python: Path
    title: str
    note: str
    variants: dict[str, dict[str, str]]
    acknowledges: bool
    keeps_result: bool
    concurrency: int
    bus: str
    jobs_factor: int
    one_core: bool
    workers: dict[str, dict[str, list[str]]]
    """The worker's command line by variant and concurrency."""
    bulk: bool
    versions: dict[str, str]

    def environment(self, urls: Mapping[str, str], variant: str = "") -> dict[str, str]:
        """What its processes find in their environment; `urls` by the names of their variables."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BENCH_VARIANT": variant,
            **self.variants[variant],
            **urls,
        }

    async def ask(self, *words: str, environment: Mapping[str, str]) -> dict[str, Any]:
        """The answer to one verb of its command line; RuntimeError with what it complained of."""
        return await _ask(self.python, self.name, *words, environment=environment)


async def entrants(names: Sequence[str]) -> tuple[list[Entrant], list[str]]:
    """Who of these takes part, and why others do not; makes the environments of peers when needed."""
    found: list[Entrant] = []
    failures: list[str] = []
    for name in names:
        try:
            python = Path(sys.executable) if name in OURS else await peers_venv.python(ROOT, name)
            said = await _ask(python, name, "describe", environment={**os.environ, "PYTHONPATH": str(ROOT)})
        except (RuntimeError, peers_venv.NoPeers) as error:
            failures.append(f"{name}: {error}")
        else:
            found.append(msgspec.convert({**said, "name": name, "python": python}, Entrant))
    return found, failures


async def _ask(python: Path, name: str, *words: str, environment: Mapping[str, str]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        python,
        "-m",
        f"bench.contenders.{name}",
        *words,
        cwd=ROOT,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_LIMIT_S):
            out, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0 or not out.strip():
        why = complaint.decode(errors="replace").strip().splitlines()[-3:]
        raise RuntimeError(f"{name} {' '.join(words)} exited with {process.returncode}: {' / '.join(why)}")
    # A library may greet on stdout; the answer is the last line.
    return json.loads(out.strip().splitlines()[-1])
