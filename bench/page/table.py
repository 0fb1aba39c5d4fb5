"""Sections, machine and versions in, markdown tables out."""

from collections.abc import Iterable, Sequence

from bench.page.contestants import Side
from bench.page.sections import Row, Section
from bench.result import Measurement, Results

NOT_MEASURED = "Not measured in this run."


def number(value: float) -> str:
    """Three figures or all before the point: 10,106 · 44.3 · 1.31 · 0.04."""
    places = max(0, 2 - len(f"{abs(value):.0f}") + 1) if value else 0
    return f"{value:,.{min(places, 2)}f}"


def markdown(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table; the first column is text, the others are figures unless they have no heading."""
    rule = ["---", *("---:" for _ in headings[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *lines))


def section_table(section: Section) -> str:
    """A row for each contender: medians, least and most beside them, and what else the machine had to do."""
    headings = ["", *(column.heading for column in section.columns), "load of others"]
    lines = [
        [_name(row), *(_cell(row.cells.get(column)) for column in section.columns), f"{row.load:.0%}"]
        for row in section.rows
    ]
    return "\n\n".join([markdown(headings, lines), *_notes(section)])


def machine_table(results: Results) -> str:
    """Where and when the figures were taken."""
    machine = results.machine
    facts = {
        "taken at": f"{results.taken_at:%Y-%m-%d %H:%M} UTC, in {results.took_s / 60:.0f} min",
        "rounds": str(results.rounds),
        "CPU": f"{machine.cores} cores, {machine.cpu}",
        "memory": f"{machine.memory_gb:.0f} GB",
        "kernel": machine.kernel,
        "Python": machine.python,
        "load average before": " ".join(f"{value:.2f}" for value in machine.load),
        "time that the host gave to others": f"{machine.steal:.1%}",
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(results.versions.items())),
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {fact or '-'} |" for name, fact in facts.items())])


def contenders_table(results: Results) -> str:
    """What each contender ran with."""
    titles = {one.contender: one.title for one in results.measurements}
    lines = [
        f"| {titles[name]} | {note} |" for name, note in results.notes.items() if name in titles and note
    ]
    return "\n".join(["| | ran with |", "|---|---|", *lines]) if lines else NOT_MEASURED


def failures_list(results: Results) -> str:
    """What could not be measured, and why."""
    return "\n".join(f"- {failure}" for failure in results.failures) or "Nothing failed in this run."


def spread(one: Measurement) -> str:
    """The middle of the rounds, with the least and the most of them."""
    if len(one.values) == 1:
        return number(one.median)
    return f"{number(one.median)} ({number(one.least)} to {number(one.most)})"


def _cell(one: Measurement | None) -> str:
    return "-" if one is None else spread(one)


def _name(row: Row) -> str:
    match row.side:
        case Side.OURS:
            return f"**{row.title}**"
        case Side.LIMIT:
            return f"*{row.title}*"
        case Side.PEER:
            return row.title


def _notes(section: Section) -> list[str]:
    """What a measurement has to say of itself, once."""
    said = {
        f"{row.title}: {one.note}": None for row in section.rows for one in row.cells.values() if one.note
    }
    return ["\n".join(f"- {note}" for note in said)] if said else []
