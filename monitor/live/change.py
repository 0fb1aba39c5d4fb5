"""Two drawings of a page in, what a browser must change to get from one to the other out; pure."""

from collections.abc import Mapping, Sequence

import msgspec

from monitor.drawing.fragments import Drawing


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """Elements that are new or drawn anew, and lists whose order is another one now."""

    set: Mapping[str, str] = {}
    rows: Mapping[str, Sequence[str]] = {}
    title: str = ""

    def __bool__(self) -> bool:
        return bool(self.set or self.rows or self.title)


def change(before: Drawing, after: Drawing) -> Change:
    """What is different; nothing of what stayed travels."""
    return Change(
        set={name: html for name, html in after.pieces.items() if before.pieces.get(name) != html},
        rows={name: keys for name, keys in after.rows.items() if before.rows.get(name) != keys},
        title=after.title if after.title != before.title else "",
    )


def whole(drawing: Drawing) -> Change:
    """All of it, for a browser whose state nobody knows: it leaves alone what it has already."""
    return Change(set=drawing.pieces, rows=drawing.rows, title=drawing.title)
