"""The lock of the peers in, the Python that has them out: made on first use, remade when the lock changes."""

import asyncio
import hashlib
import shutil
import sys
from pathlib import Path


class NoPeers(Exception):
    """The environment of the peers could not be made; the message says why."""


async def python(root: Path) -> Path:
    """The interpreter of `.venv-bench` below the project's root."""
    lock, folder = root / "bench" / "peers.lock", root / ".venv-bench"
    if not lock.is_file():
        raise NoPeers(f"{lock} is not there")
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    made, interpreter = folder / ".made-from", folder / "bin" / "python"
    if interpreter.exists() and made.is_file() and made.read_text(encoding="ascii") == wanted:
        return interpreter
    sys.stderr.write(f"making {folder} from {lock.name}\n")
    shutil.rmtree(folder, ignore_errors=True)
    uv = _uv()
    await _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
    await _run(
        *(uv, "pip", "install", "--quiet", "--python", str(interpreter)), "--require-hashes", "-r", str(lock)
    )
    made.write_text(wanted, encoding="ascii")
    return interpreter


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise NoPeers("uv is not there: `make setup` installs it")
    return found


async def _run(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate()
    if process.returncode != 0:
        raise NoPeers(f"{words[0]} {words[1]} failed: {complaint.decode(errors='replace').strip()[-500:]}")
