"""What the demo shows: lines, and a bar for each job on a terminal; lines alone where nobody watches live."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

_QUARTERS = 4
_WIDE = 140


@dataclass
class Screen:
    """One for a run of the demo."""

    console: Console
    _bars: Progress | None = field(default=None, init=False)

    @classmethod
    def of_terminal(cls) -> Screen:
        """Standard output, with bars if it is a terminal."""
        console = Console(highlight=False, soft_wrap=True)
        # A file or a pipe has no width, and ids are to be copied whole.
        return cls(console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=_WIDE))

    def say(self, what: str, text: str) -> None:
        """A line: who speaks, and what."""
        self.console.print(f"[bold cyan]{what:>8}[/]  {escape(text)}")

    def chapter(self, title: str) -> None:
        """What comes next."""
        self.console.print(f"\n[bold]{escape(title)}[/]")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A summary."""
        table = Table(
            title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
        )
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self.console.print()
        self.console.print(table)

    @contextmanager
    def job(self, id_: str) -> Generator[ShownJob]:
        """A job while it goes on; several may, side by side."""
        if not self.console.is_terminal:
            yield Told(self, id_)
            return
        bars, is_first = self._bars, self._bars is None
        if bars is None:
            bars = self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[note]}", markup=False),
                TimeElapsedColumn(),
                console=self.console,
            )
            bars.start()
        try:
            yield Bar(bars, bars.add_task(id_.partition(":")[0], total=None, note="queued"))
        finally:
            if is_first:
                bars.stop()
                self._bars = None


class ShownJob(Protocol):
    """A job on the screen."""

    def is_now(self, job: dict[str, Any]) -> None:
        """Show its state and how far it is."""


@dataclass
class Bar:
    """A job as a bar that moves."""

    bars: Progress
    task: TaskID

    def is_now(self, job: dict[str, Any]) -> None:
        """The bar, moved on."""
        done, total, note = _progress(job)
        if job["state"] == "succeeded":
            done = total = total or 1
        self.bars.update(self.task, completed=done, total=total, note=f"{job['state']} {note}".strip())


@dataclass
class Told:
    """A job as lines: one for each state, and one for each quarter of the way."""

    screen: Screen
    id: str
    seen: set[str] = field(default_factory=set[str])

    def is_now(self, job: dict[str, Any]) -> None:
        """A line, if there is something new."""
        done, total, note = _progress(job)
        quarter = int(_QUARTERS * done / total) if total else 0
        told = f"{job['state']} {quarter}/{_QUARTERS}" if 0 < quarter < _QUARTERS else job["state"]
        if told in self.seen:
            return
        self.seen.add(told)
        share = f": {note}" if note and job["state"] == "running" else ""
        self.screen.say("job", f"{self.id} is {job['state']}{share}".rstrip())


def _progress(job: dict[str, Any]) -> tuple[float, float | None, str]:
    progress = job.get("progress") or {}
    return progress.get("done") or 0, progress.get("total"), progress.get("note") or ""
