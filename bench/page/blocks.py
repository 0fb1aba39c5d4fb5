"""A page's text and new blocks in, the text with these blocks out; the prose between them stays as it is.

A block is what stands between `<!-- bench:NAME -->` and `<!-- bench:end -->`, each on a line of its own.
"""

import re
from collections.abc import Mapping
from typing import Final

_BLOCK: Final = re.compile(
    r"^<!-- bench:(?P<name>[a-z0-9_]+) -->\n(?P<text>.*?)^<!-- bench:end -->$", re.DOTALL | re.MULTILINE
)
_BEGIN: Final = re.compile(r"^<!-- bench:(?!end )", re.MULTILINE)


class PageInvalid(ValueError):
    """A page whose blocks cannot be filled."""


def names(text: str) -> list[str]:
    """The blocks of a page, in their order; PageInvalid when one has no end, or stands twice."""
    found = [match["name"] for match in _BLOCK.finditer(text)]
    if len(found) != len(_BEGIN.findall(text)):
        raise PageInvalid("a `<!-- bench:NAME -->` has no `<!-- bench:end -->` on a line of its own")
    if twice := {name for name in found if found.count(name) > 1}:
        raise PageInvalid(f"these blocks stand twice: {', '.join(sorted(twice))}")
    return found


def fill(text: str, blocks: Mapping[str, str]) -> str:
    """Put each block in its place; PageInvalid for a place that nothing is known to belong in."""
    if unknown := set(names(text)) - set(blocks):
        raise PageInvalid(
            f"nothing is known for bench:{', bench:'.join(sorted(unknown))}; "
            f"known are {', '.join(sorted(blocks))}"
        )
    return _BLOCK.sub(lambda match: _block(match["name"], blocks[match["name"]]), text)


def _block(name: str, content: str) -> str:
    return f"<!-- bench:{name} -->\n\n{content.strip()}\n\n<!-- bench:end -->"
