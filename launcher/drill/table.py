"""What a drill tells: figures and invariants in, the lines of its report out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.status_table import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.drill.invariants import Figures, Invariant
    from launcher.drill.options import DrillOptions

_TITLES = ("INVARIANT", "EXPECTED", "FOUND", "")


def report(options: DrillOptions, figures: Figures, invariants: Sequence[Invariant]) -> str:
    """The table of invariants, what was done to the system, and one line of the verdict."""
    rows = [(one.name, one.expected, one.found, "PASS" if one.holds else "FAIL") for one in invariants]
    done = [(f"  {name}", value) for name, value in _done(figures)]
    faults = "; ".join(one.fault for one in invariants if not one.holds)
    verdict = f"FAIL: {faults}" if faults else "PASS: nothing was lost, nothing happened twice"
    return "\n".join(
        ["", *aligned([_TITLES, *rows]), "", *aligned(done), "", f"{verdict} ({_again(options)})"]
    )


def _done(figures: Figures) -> list[tuple[str, str]]:
    kills = ", ".join(f"{name} {count}" for name, count in sorted(figures.kills.items()))
    rows = [
        ("killed (-9)", f"{sum(figures.kills.values())} times: {kills}"),
        ("paused beyond the lease", f"{figures.pauses} times"),
        ("started again", f"{figures.restarts} times"),
        ("requests repeated", f"{figures.repeated}, with the same ids"),
        ("buried as poison and run again", f"{figures.poisoned}"),
    ]
    if figures.span is not None:
        rows.append(("jobs a second", f"{figures.effective_jobs / max(figures.span.total_seconds(), 1):.0f}"))
    if figures.longest_gap is not None:
        rows.append(("longest time without an effect", f"{figures.longest_gap.total_seconds():.1f} s"))
    return rows


def _again(options: DrillOptions) -> str:
    return f"--bus {options.bus} --seed {options.seed}"
