"""What a command has to say in; JSON, or text for a terminal, or lines for a program, out.

One rule: on a terminal a list is a table; where output goes elsewhere it is one line an item, values
separated by tabs, without titles, colours or ages. `--json` is what the API said: one document, everywhere.
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import typer

from launcher.operate.tables import Item, Table, plain, text_of

_NARROWEST: Final = 20


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values of one thing; on a terminal those that are None are left out."""

    of: Sequence[tuple[str, object]]

    def lines(self) -> list[str]:
        """For programs: `name<TAB>value`."""
        return [f"{name}\t{text_of(value)}" for name, value in self.of]

    def text(self) -> str:
        """For people: names in a column of their own, instants with their age."""
        known = [(name, value) for name, value in self.of if value is not None]
        width = max((len(name) for name, _ in known), default=0)
        return "\n".join(f"{name:<{width}}  {text_of(value, short=False)}" for name, value in known)


@dataclass(frozen=True, slots=True)
class Said:
    """What the API said, how it looks, what to add on stderr, and how the command ends."""

    document: object
    parts: Sequence[Table | Facts | str] = ()
    """One after the other; text may have several lines."""
    notes: Sequence[str] = ()
    code: int = 0


def say(said: Said, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        typer.echo(json_of(said.document))
    elif is_terminal():
        for number, part in enumerate(said.parts):
            _show(part, is_first=number == 0)
    else:
        for part in said.parts:
            lines = [plain(part)] if isinstance(part, str) else part.lines()
            if lines:
                typer.echo("\n".join(lines))
    if not as_json:
        for note in said.notes:
            typer.echo(note, err=True)


def json_of(document: object) -> str:
    """The document, indented."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def is_terminal() -> bool:
    """Whether a person sees what is printed."""
    return sys.stdout.isatty()


def can_ask() -> bool:
    """Whether a person is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def console(*, err: bool = False) -> Any:
    """A terminal of this width, for tables and progress."""
    from rich.console import Console  # noqa: PLC0415 - only a terminal pays for it

    return Console(stderr=err, highlight=False, markup=False, emoji=False)


def screen_width() -> int:
    """How wide the terminal is."""
    return max(_NARROWEST, shutil.get_terminal_size().columns)


def _show(part: Table | Facts | str, *, is_first: bool) -> None:
    if not is_first:
        typer.echo()
    match part:
        case str():
            typer.echo(plain(part))
        case Facts():
            typer.echo(part.text())
        case Table():
            # Wider than the terminal if need be: an id that is too long wraps there, and stays one to copy.
            console().print(part.renderable(screen_width()), soft_wrap=True, crop=False)


def one_line(item: Item, *names: str) -> str:
    """Some members of an item, separated by two blanks."""
    return "  ".join(text_of(item.get(name)) for name in names)
