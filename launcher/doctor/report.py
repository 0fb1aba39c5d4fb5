"""Findings in; a table for a person, or one JSON document, out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from launcher.doctor.findings import Finding, Level, worst

if TYPE_CHECKING:
    from collections.abc import Sequence

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAULT: "bold red"}
_PIPED_WIDTH = 120


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The document of --json; without addresses and secrets, so that it can be pasted into an issue."""

    level: Level
    counts: dict[str, int]
    findings: list[Finding]


def as_json(findings: Sequence[Finding]) -> str:
    """The findings as one indented document."""
    counts = {str(level): sum(finding.level is level for finding in findings) for level in Level}
    report = Report(level=worst(findings), counts=counts, findings=list(findings))
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def show(findings: Sequence[Finding]) -> None:
    """A row for each finding, the worst last, where the eye is; and a line that counts them."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in sorted(findings, key=lambda finding: [*Level].index(finding.level)):
        table.add_row(Text(finding.level, _STYLES[finding.level]), Text(finding.about), _told(finding))
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    console.print(table)
    console.print(Text(f"\n{_counted(findings)}"))


def _told(finding: Finding) -> Text:
    told = Text(finding.what)
    if finding.why:
        told.append(f"\n{finding.why}", "dim")
    if finding.do:
        told.append(f"\n-> {finding.do}")
    return told


def _counted(findings: Sequence[Finding]) -> str:
    numbers = {level: sum(finding.level is level for finding in findings) for level in Level}
    parts = [
        f"{number} {level}{'s' if number != 1 and level is not Level.OK else ''}"
        for level, number in reversed(numbers.items())
        if number
    ]
    return ", ".join(parts)
