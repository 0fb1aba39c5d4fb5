"""A value of JSON in, text to read out: indented, and cut where it is long; pure."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

SHOWN_MAX: Final = 20_000
"""Characters; the whole of a longer one is for the API."""


@dataclass(frozen=True)
class Document:
    """What is shown, and how many characters there are in all."""

    text: str
    length: int

    @property
    def is_cut(self) -> bool:
        """Whether this is not all."""
        return len(self.text) < self.length


def document(value: Any) -> Document:
    """The value as indented JSON; text stays text where it is no JSON of its own."""
    text = (
        value
        if isinstance(value, str)
        else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    )
    return Document(text[:SHOWN_MAX], len(text))
