"""Results in, one Markdown table of all figures out: what a run prints."""

from bench.result import Measurement, Results


def table(results: Results) -> str:
    """A line for each measurement, and what could not be measured."""
    machine = results.machine
    load = " ".join(f"{value:.2f}" for value in machine.load)
    lines = [
        f"{machine.cores} cores, {results.rounds} rounds in {results.took_s:,.0f} s, load {load} before",
        "",
        "| figure | contender | variant | median | least | most | unit | others |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(one) for one in results.measurements),
    ]
    if results.failures:
        lines += ["", "Not measured:", "", *(f"- {why}" for why in results.failures)]
    return "\n".join(lines)


def number(value: float) -> str:
    """Three digits that tell something: 12,345, 123, 1.23, 0.0123."""
    if abs(value) >= 100:  # noqa: PLR2004 - from here on a fraction tells nothing
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _line(one: Measurement) -> str:
    figures = " | ".join(number(value) for value in (one.median, one.least, one.most))
    others = f"{max(one.load):.0%}" if one.load else ""
    return f"| {one.figure} | {one.title} | {one.variant} | {figures} | {one.unit} | {others} |"
