"""The filter language of lists: `handler:email.send since:1h any text` in, parameters of the API out.

A term is `name:value`, in quotes where the value has blanks: `error:"Read timeout"`. What is no term is text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from monitor.live.page import BadQuestion
from shared.clock import from_rfc3339, rfc3339

_WORD: Final = re.compile(r'([a-z_]+):("[^"]*"|\S*)|"[^"]*"|\S+')
_BEFORE: Final = re.compile(r"(\d{1,6})(s|m|min|h|d|w)")
_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_INSTANTS: Final = frozenset({"since", "until"})
_LONGEST: Final = 500
_SHORTEST_TEXT: Final = 3


@dataclass(frozen=True)
class Term:
    """One part of a filter; `name` is "" for text."""

    name: str
    value: str

    def __str__(self) -> str:
        quoted = f'"{self.value}"' if " " in self.value or not self.value else self.value
        return f"{self.name}:{quoted}" if self.name else self.value


@dataclass(frozen=True)
class Query:
    """A filter, as it is typed and as the API takes it."""

    terms: Sequence[Term] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))

    def without(self, term: Term) -> "Query":
        """The filter without this term."""
        return Query([one for one in self.terms if one != term])

    def having(self, name: str, value: str) -> "Query":
        """The filter with this term in place of others of its name."""
        return Query([*(one for one in self.terms if one.name != name or not name), Term(name, value)])

    def parameters(self, *, now: datetime | None = None) -> Mapping[str, str]:
        """What the API is asked; `since:1h` counts from now."""
        found: dict[str, str] = {}
        for term in self.terms:
            if term.name in _INSTANTS:
                found[term.name] = _instant(term, now or datetime.now(UTC))
            elif term.name == "event":
                found["event_id"] = term.value
            else:
                found[term.name or "text"] = term.value
        return found


def parse(text: str, *, names: Sequence[str]) -> Query:
    """The filter; BadQuestion says which word is none. `names` are those of the terms of this list."""
    if len(text) > _LONGEST:
        raise BadQuestion(f"the filter is longer than {_LONGEST} characters")
    terms: dict[str, Term] = {}
    words: list[str] = []
    for word in _WORD.finditer(text.replace("\0", "")):
        name, value = word[1], (word[2] or "").strip('"')
        if name not in names:
            words.append(word[0].strip('"'))
        elif not value:
            raise BadQuestion(f"{name}: has no value; write {name}:something")
        else:
            terms[name] = Term(name, value)
    free = " ".join(word for word in words if word)
    if free and len(free) < _SHORTEST_TEXT:
        raise BadQuestion(f"text of at least {_SHORTEST_TEXT} characters can be searched for, not {free!r}")
    for name in _INSTANTS & terms.keys():
        _instant(terms[name], datetime.now(UTC))
    return Query([terms[name] for name in names if name in terms] + ([Term("", free)] if free else []))


def _instant(term: Term, now: datetime) -> str:
    """`1h` is an hour ago, and everything else an instant in RFC 3339."""
    before = _BEFORE.fullmatch(term.value)
    if before:
        return rfc3339(now - timedelta(seconds=int(before[1]) * _UNITS[before[2]]))
    try:
        return rfc3339(from_rfc3339(term.value))
    except ValueError:
        raise BadQuestion(
            f"{term.name}: takes 15m, 2h, 7d or an instant such as 2026-01-31T12:00:00Z"
        ) from None
