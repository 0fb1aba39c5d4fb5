"""What a stretch of time cost: the share of the machine that others used, the CPU of a process tree."""

from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Watch:
    """The machine and our own processes at one instant."""

    busy_s: float
    total_s: float
    own_s: float
    steal_s: float

    @classmethod
    def start(cls) -> "Watch":
        """Begin to watch."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        # On Linux guest time is counted in user time already.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        return cls(total - idle, total, _own_s(), getattr(times, "steal", 0.0))

    def others(self) -> float:
        """How much of the machine was used by others than the bench and what it started, 0 to 1."""
        now = Watch.start()
        total = now.total_s - self.total_s
        foreign = (now.busy_s - self.busy_s) - (now.own_s - self.own_s)
        return min(1.0, max(0.0, foreign / total)) if total > 0 else 0.0

    def steal(self) -> float:
        """How much of the machine its host gave to others, 0 to 1."""
        now = Watch.start()
        total = now.total_s - self.total_s
        return max(0.0, now.steal_s - self.steal_s) / total if total > 0 else 0.0


def tree(pid: int) -> list[psutil.Process]:
    """The process and all that it started."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_ns(pid: int) -> int:
    """CPU time of a tree so far; to the nanosecond where the kernel tells it."""
    return sum(_cpu_ns(process) for process in tree(pid))


@dataclass(frozen=True)
class Memory:
    """Of a tree, in MB; `pss` counts shared pages once, None where it cannot be read."""

    rss: float
    pss: float | None


def memory(pid: int) -> Memory:
    """How much memory a tree holds now."""
    rss, pss = 0, 0
    for process in tree(pid):
        try:
            info = process.memory_full_info()
        except psutil.Error:
            continue
        rss += info.rss
        pss += getattr(info, "pss", 0)
    return Memory(rss / 1e6, pss / 1e6 if pss else None)


def _own_s() -> float:
    """CPU of this process and of all that it started, also of those that have ended."""
    spent = 0.0
    for process in tree(psutil.Process().pid):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        spent += times.user + times.system
        spent += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return spent


def _cpu_ns(process: psutil.Process) -> int:
    found = 0
    try:
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            found += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        try:
            times = process.cpu_times()
        except psutil.Error:
            return 0
        return int((times.user + times.system) * 1e9)
    return found
