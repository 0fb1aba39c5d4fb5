"""Results in, the pages of the bench out: their blocks filled, their plots written beside them.

The prose is in the pages themselves (docs/performance.md, docs/scaling.md) and is kept; what stands in a
block is written anew by every run.
"""

from pathlib import Path
from typing import Final

from bench.page.answer import short_answer
from bench.page.blocks import fill
from bench.page.costs import processes, terms
from bench.page.peers import where_a_peer_is_better
from bench.page.plot import bars
from bench.page.sections import OTHERS, SECTIONS, Column, Section, sections
from bench.page.table import (
    NOT_MEASURED,
    contenders_table,
    failures_list,
    machine_table,
    section_table,
)
from bench.result import Results

FORM: Final = Path(__file__).parents[2] / "docs" / "performance.md"
"""The page; another one takes its prose from this one at first."""
COSTS: Final = "scaling.md"
"""Beside the page, if it is there: the cost model is filled in, too."""
_ROWS_OF_A_PLOT: Final = 2
_NOT_PLOTTED: Final = frozenset({"pss", "idle_cpu", "idle_commands", "guarantees_share"})


def write_page(results: Results, page: Path = FORM) -> list[Path]:
    """Write the page, its plots and the cost model beside it; returns what was written, the page first."""
    folder = page.with_suffix("")
    found = sections(results)
    plots = {path: svg for section in found.values() for path, svg in _plots(section, folder)}
    blocks = _blocks(results, found, plots)
    text = fill((page if page.exists() else FORM).read_text(), blocks)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.svg")) - set(plots):
        stale.unlink()
    page.write_text(text)
    for path, svg in plots.items():
        path.write_text(svg)
    return [page, *sorted(plots), *_costs(page.with_name(COSTS), blocks)]


def _blocks(results: Results, found: dict[str, Section], plots: dict[Path, str]) -> dict[str, str]:
    shown = {name: _shown(found.get(name), plots) for name in (*SECTIONS, OTHERS)}
    return shown | {
        OTHERS: shown[OTHERS] if OTHERS in found else "None.",
        "short": short_answer(results),
        "better": where_a_peer_is_better(results),
        "machine": machine_table(results),
        "contenders": contenders_table(results),
        "failures": failures_list(results),
        "terms": terms(results),
        "processes": processes(results),
    }


def _costs(page: Path, blocks: dict[str, str]) -> list[Path]:
    if not page.exists():
        return []
    page.write_text(fill(page.read_text(), blocks))
    return [page]


def _shown(section: Section | None, plots: dict[Path, str]) -> str:
    if section is None:
        return NOT_MEASURED
    images = [
        f"![{SECTIONS.get(section.name, section.name)}: {column.heading}]({path.parent.name}/{path.name})"
        for column in section.columns
        if (path := _plot(section, column, plots))
    ]
    return "\n\n".join([*images, section_table(section)])


def _plot(section: Section, column: Column, plots: dict[Path, str]) -> Path | None:
    return next((path for path in plots if path.name == _file_name(section, column)), None)


def _plots(section: Section, folder: Path) -> list[tuple[Path, str]]:
    """A plot for each column that compares anything, from the best down."""
    title = SECTIONS.get(section.name, section.name)
    return [
        (folder / _file_name(section, column), bars(title, column, ranked))
        for column in section.columns
        if column.figure not in _NOT_PLOTTED and len(ranked := section.ranked(column)) >= _ROWS_OF_A_PLOT
    ]


def _file_name(section: Section, column: Column) -> str:
    words = [column.figure if column.figure.startswith(section.name) else f"{section.name} {column.figure}"]
    words += [column.aspect] if column.aspect else []
    return f"{' '.join(words)}.svg".replace("_", "-").replace(" ", "-")
