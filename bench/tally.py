"""What each worker process has run: hits of tasks in, how many and when out, through files of shared memory.

Only the standard library: this runs inside every contender's worker. A hit costs less than 1 µs and no
system call, so that the tally weighs on nobody's figure.
"""

import mmap
import os
import struct
import threading
import time
from array import array
from dataclasses import dataclass
from pathlib import Path

FOLDER = "BENCH_TALLY"
_FORM = struct.Struct("=qqq")


@dataclass(frozen=True)
class Count:
    """Jobs run by all workers, and when the first and the last of them were."""

    jobs: int = 0
    first_ns: int = 0
    last_ns: int = 0

    @property
    def took_s(self) -> float:
        """Between the first job and the last."""
        return (self.last_ns - self.first_ns) / 1e9

    @property
    def per_s(self) -> float:
        """Jobs a second; the first only starts the clock."""
        return (self.jobs - 1) / self.took_s if self.took_s > 0 else 0.0


class _Page:
    """The shared page of this process: made at the first hit, again in every fork."""

    def __init__(self, folder: str) -> None:
        self.pid = os.getpid()
        path = Path(folder, f"{self.pid}.tally")
        path.write_bytes(b"\0" * _FORM.size)
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), _FORM.size)
        self.latencies = Path(folder, f"{self.pid}.latency").open("ab", buffering=0)  # noqa: SIM115 - for the process' life
        self.jobs = self.first_ns = 0
        self.lock = threading.Lock()


_page: _Page | None = None
_making = threading.Lock()


def _here() -> _Page | None:
    global _page  # noqa: PLW0603 - one page a process, as the protocol of the tally says
    if _page is None or _page.pid != os.getpid():
        folder = os.environ.get(FOLDER)
        if folder is None:
            return None
        with _making:  # the first jobs of a worker of threads come together
            if _page is None or _page.pid != os.getpid():
                _page = _Page(folder)
    return _page


def hit() -> None:
    """One more job has run; nothing happens where no tally is kept."""
    page = _here()
    if page is None:
        return
    now = time.time_ns()
    with page.lock:
        page.jobs += 1
        page.first_ns = page.first_ns or now
        _FORM.pack_into(page.memory, 0, page.jobs, page.first_ns, now)


def latency(ns: int) -> None:
    """One more job has started, so long after it was sent."""
    page = _here()
    if page is not None:
        page.latencies.write(struct.pack("=q", ns))


def read(folder: Path) -> Count:
    """The count of all processes so far."""
    jobs, first_ns, last_ns = 0, 0, 0
    for path in folder.glob("*.tally"):
        content = path.read_bytes()
        if len(content) != _FORM.size:
            continue  # its process is just making it
        one, first, last = _FORM.unpack(content)
        if one:
            jobs += one
            first_ns = min(first_ns or first, first)
            last_ns = max(last_ns, last)
    return Count(jobs, first_ns, last_ns)


def read_latencies(folder: Path) -> list[int]:
    """The latencies of all processes so far, in ns."""
    found = array("q")
    for path in folder.glob("*.latency"):
        content = path.read_bytes()
        found.frombytes(content[: len(content) // 8 * 8])
    return list(found)


def forget_latencies(folder: Path) -> None:
    """Empty the files, which their processes go on with."""
    for path in folder.glob("*.latency"):
        os.truncate(path, 0)


def processes(folder: Path) -> int:
    """How many processes have run a job."""
    return sum(any(path.read_bytes()) for path in folder.glob("*.tally"))
