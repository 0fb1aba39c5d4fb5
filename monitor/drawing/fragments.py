"""A template's pieces, as it draws them: each piece of a page that may change by itself has a name.

In a template, `{% call live("counts") %}<nav>...</nav>{% endcall %}` names one element, and
`{% call row("jobs", job.id) %}<tr>...</tr>{% endcall %}` one of a list, in its order. The element gets its
name as id, and a digest of what it shows as `data-v`, by which a browser knows that it has it already.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from markupsafe import Markup, escape

_FIRST_TAG: Final = re.compile(r"\s*<([a-z][a-z0-9]*)")


@dataclass(frozen=True)
class Drawing:
    """A page's main part: whole, and in its named pieces."""

    title: str
    html: str
    pieces: Mapping[str, str]
    """Name -> the element. A name within a list is `<list>/<name>`."""
    rows: Mapping[str, Sequence[str]]
    """List -> the names of its elements, in order."""


@dataclass
class Pieces:
    """Collects the pieces of one drawing; `live` and `row` are for templates."""

    pieces: dict[str, str] = field(default_factory=dict[str, str])
    rows: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def live(self, name: str, *, caller: Callable[[], str]) -> Markup:
        """One element that changes as a whole."""
        if name in self.pieces:
            raise ValueError(f"two pieces are named {name}")
        piece = _named(name, caller())
        self.pieces[name] = piece
        return Markup(piece)  # noqa: S704 -- what a template drew, which escapes

    def row(self, of: str, key: str, *, caller: Callable[[], str]) -> Markup:
        """One element of the list `of`, whose container is marked `data-rows="<of>"`."""
        name = f"{of}/{key}"
        drawn = self.live(name, caller=caller)
        self.rows.setdefault(of, []).append(name)
        return drawn

    def rows_of(self, name: str) -> Markup:
        """The mark of a list's container; lists that are empty are known by it, too."""
        self.rows.setdefault(name, [])
        return Markup('data-rows="{}"').format(name)


def _named(name: str, html: str) -> str:
    """The element with its name and its digest."""
    found = _FIRST_TAG.match(html)
    if found is None:
        raise ValueError(f"the piece {name} does not begin with an element")
    html = html.strip()
    tag = found[1]
    return f'<{tag} id="{escape(name)}" data-v="{crc32(html.encode()):08x}"{html[len(tag) + 1 :]}'
