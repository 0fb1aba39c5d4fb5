"""What came of the requests: each answer in, counts and latencies by kind of request out."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass
class Meter:
    """Counts while the load runs."""

    sent: Counter[str] = field(default_factory=Counter[str])
    accepted: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    """By what was answered: a status, or the error's name."""
    not_sent: int = 0
    took_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict[str, list[float]](list))

    def answered(self, name: str, status: int, took_s: float) -> None:
        """An answer came."""
        self.took_s[name].append(took_s)
        if status < 300:  # noqa: PLR2004 - all of 2xx
            self.accepted[name] += 1
        else:
            self.refused[f"{name}: {status}"] += 1

    def failed(self, name: str, error: Exception) -> None:
        """No answer came."""
        self.refused[f"{name}: {type(error).__name__}"] += 1

    def latency_ms(self, name: str | None, percent: float) -> float:
        """So many percent of the answers of this kind, or of all, took at most that long; 0 without any."""
        kinds = [name] if name else list(self.took_s)
        took = sorted(one for kind in kinds for one in self.took_s[kind])
        return 1000 * took[min(len(took) - 1, int(len(took) * percent / 100))] if took else 0.0
