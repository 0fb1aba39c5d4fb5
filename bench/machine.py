"""The machine and the programs that are measured: what must be known to compare figures."""

import asyncio
import importlib.metadata
import os
import platform
from pathlib import Path

import psutil

from bench.entrants import Entrant
from bench.result import Machine
from launcher.servers import NatsServer, PostgresServer, RedisServer
from shared import VERSION

_OURS = ("faststream", "redis", "hiredis", "nats-py", "uvloop", "fastapi", "uvicorn", "msgspec", "asyncpg")


def machine(load: tuple[float, float, float], steal: float) -> Machine:
    """This machine; `load` from before the run, `steal` over it."""
    return Machine(
        cores=os.cpu_count() or 1,
        cpu=_cpu(),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        load=[round(value, 2) for value in load],
        steal=round(steal, 4),
    )


async def versions(entrants: list[Entrant], folder: Path) -> dict[str, str]:
    """Of Trunkline, what it stands on, the servers and the peers."""
    found = {"Trunkline": VERSION}
    found |= {name: importlib.metadata.version(name) for name in _OURS}
    servers = {
        "Redis": (await RedisServer(folder / "redis").command()).argv[0],
        "NATS": (await NatsServer(folder / "nats").command()).argv[0],
    }
    for name, program in servers.items():
        found[name] = await _version(program)
    found["Postgres"] = str(await PostgresServer(folder / "postgres").major())
    for entrant in entrants:
        for package, version in entrant.versions.items():
            known = found.setdefault(package, version)
            if known != version:
                found[f"{package} ({entrant.title})"] = version
    return found


async def _version(program: str) -> str:
    process = await asyncio.create_subprocess_exec(program, "--version", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    for word in out.decode().split():
        bare = word.removeprefix("v=").removeprefix("v")
        if bare[:1].isdigit() and "." in bare:
            return bare
    return out.decode().strip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
