"""The locks of the peers in, a Python that has their packages out: made on first use, again for a new lock.

bench/peers.lock holds all that agree with each other, in `.venv-bench`; a peer with bench/peers-<name>.lock
needs other versions of what the others share, and has an environment of its own, `.venv-bench-<name>`.
"""

import asyncio
import hashlib
import shutil
import sys
from pathlib import Path


class NoPeers(Exception):
    """The environment of a peer could not be made; the message says why."""


async def python(root: Path, name: str = "") -> Path:
    """The interpreter for the peer `name`, or that of all others; `root` is the project's folder."""
    own = f"-{name}" if name and (root / "bench" / f"peers-{name}.lock").is_file() else ""
    lock, folder = root / "bench" / f"peers{own}.lock", root / f".venv-bench{own}"
    if not lock.is_file():
        raise NoPeers(f"{lock} is not there")
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    made, interpreter = folder / ".made-from", folder / "bin" / "python"
    if interpreter.exists() and made.is_file() and made.read_text(encoding="ascii") == wanted:
        return interpreter
    sys.stderr.write(f"making {folder.name} from {lock.name}\n")
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    uv = _uv()
    await _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
    install = (uv, "pip", "install", "--quiet", "--python", str(interpreter), "--require-hashes")
    await _run(*install, "-r", str(lock))
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
        said = complaint.decode(errors="replace").strip()[-500:]
        raise NoPeers(f"{' '.join(words[:3])} exited with {process.returncode}: {said}")
