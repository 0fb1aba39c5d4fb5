"""Columns of a table: a source and its columns in, statistics of each out, in two reads of the file.

The first read takes counts, ranges, quantiles and candidates for the most frequent values, the second counts
those. Every value is read as text and tried as the type of the first rows: what does not fit is counted as a
misfit, and the file is not read anew for it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from file_service.findings import Profile, Progress
from file_service.tables.query import Query, name, text

_AT_A_TIME: Final = 100
"""Columns in one read: each takes memory for its sketches."""

_FREQUENT: Final = 5
_CUT: Final = 200
_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_NUMBERS: Final = ("BIGINT", "HUGEINT", "DOUBLE")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, and the type that its values are tried as; None for text."""

    name: str
    type: str | None
    is_nested: bool = False
    """Lists and objects are counted, not compared."""
    is_text: bool = True
    """Whether its values are read as text, as in all but Parquet."""

    @property
    def shown_type(self) -> str:
        """The type in words of the profile."""
        return "nested" if self.is_nested else _WORDS.get(self.type or "", "text")


_WORDS: Final = {
    "BIGINT": "integer",
    "HUGEINT": "integer",
    "DOUBLE": "number",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMPTZ": "timestamp",
}
_TRIED: Final = {
    # A cast alone takes too much: 1.5 as an integer, 01234 (a post code) as a number, an instant as a day.
    "BIGINT": "regexp_full_match({0}, '[-+]?(0|[1-9][0-9]*)') AND TRY_CAST({0} AS BIGINT) IS NOT NULL",
    "DOUBLE": "NOT regexp_matches({0}, '^[-+]?0[0-9]') AND TRY_CAST({0} AS DOUBLE) IS NOT NULL",
    "BOOLEAN": "TRY_CAST({0} AS BOOLEAN) IS NOT NULL",
    "DATE": "length({0}) <= 10 AND TRY_CAST({0} AS DATE) IS NOT NULL",
    "TIMESTAMPTZ": "TRY_CAST({0} AS TIMESTAMPTZ) IS NOT NULL",
}
"""How a value of a type is told, in this order."""

_UNIQUE: Final = 0.5
_FEW: Final = 10_000
"""A longer column of which so many values are unlike all others has no frequent ones worth counting."""


def guess_types(query: Query, source: str, names: Sequence[str], *, rows: int) -> list[Column]:
    """The type that all values of the first rows have, for each column."""
    found: list[Column] = []
    for part in _parts(names):
        tries = [
            f"count(*) FILTER ({name(one)} IS NOT NULL AND NOT ({test.format(name(one))}))"
            for one in part
            for test in _TRIED.values()
        ]
        counts = [f"count({name(one)})" for one in part]
        listed = ", ".join(name(one) for one in part)
        sql = f"SELECT {', '.join(counts + tries)} FROM (SELECT {listed} FROM {source} LIMIT {rows})"  # noqa: S608 - names and source are quoted
        [answer] = query.rows(sql)
        filled, misfits = answer[: len(part)], answer[len(part) :]
        for at, one in enumerate(part):
            tried = misfits[at * len(_TRIED) : (at + 1) * len(_TRIED)]
            fitting = (type_ for type_, misfit in zip(_TRIED, tried, strict=True) if misfit == 0)
            found.append(Column(one, next(fitting, None) if filled[at] else None))
    return found


def profile_columns(
    query: Query, source: str, columns: Sequence[Column], progress: Progress
) -> tuple[int, list[Profile]]:
    """How many rows there are, and the statistics of each column."""
    rows, profiles = 0, list[Profile]()
    parts = list(_parts(columns))
    share = (progress.end - progress.begin) / len(parts)
    for number, part in enumerate(parts):
        begin = progress.begin + number * share
        reading = progress.part(begin, begin + share * 0.7, "reading columns")
        counting = progress.part(begin + share * 0.7, begin + share, "counting frequent values")
        selected = ", ".join(["count(*)", *(sql for column in part for _, sql in _statistics(column))])
        [answer] = query.rows(f"SELECT {selected} FROM {source}", reading)  # noqa: S608 - as above
        rows, values = answer[0], iter(answer[1:])
        taken = [{key: next(values) for key, _ in _statistics(column)} for column in part]
        candidates = [() if _is_unique(one) else one.get("frequent") or () for one in taken]
        frequent = _frequent(query, source, part, candidates, counting)
        profiles += [_profile(*known, rows) for known in zip(part, taken, frequent, strict=True)]
    return rows, profiles


def _statistics(column: Column) -> list[tuple[str, str]]:
    """What is taken of a column in the first read: a key and its SQL."""
    value = name(column.name)
    if column.is_nested:
        return [("count", f"count({value})")]
    cut = f"left(CAST({value} AS VARCHAR), {_CUT})"
    found = [
        ("count", f"count({value})"),
        ("distinct", f"approx_count_distinct({value})"),
        ("frequent", f"approx_top_k({cut}, {2 * _FREQUENT})"),
    ]
    if column.type is None:
        length = f"length(CAST({value} AS VARCHAR))"
        return [
            *found,
            ("min", f"min({cut})"),
            ("max", f"max({cut})"),
            ("shortest", f"min({length})"),
            ("longest", f"max({length})"),
        ]
    typed = f"TRY_CAST({value} AS {column.type})"
    found += [
        ("fitting", f"count({typed}){_fractions(column, value)}"),
        ("min", f"CAST(min({typed}) AS VARCHAR)" if column.type not in _NUMBERS else f"min({typed})"),
        ("max", f"CAST(max({typed}) AS VARCHAR)" if column.type not in _NUMBERS else f"max({typed})"),
    ]
    if column.type in _NUMBERS:
        finite = f"CASE WHEN isfinite(CAST({typed} AS DOUBLE)) THEN CAST({typed} AS DOUBLE) END"
        found += [
            ("mean", f"avg({finite})"),
            ("quantiles", f"approx_quantile({finite}, {list(_QUANTILES)})"),
        ]
    return found


def _fractions(column: Column, value: str) -> str:
    """What a cast would round is no integer; only text has to be asked."""
    if column.type != "BIGINT" or not column.is_text:
        return ""
    return f" - count(*) FILTER (contains({value}, '.'))"


def _frequent(
    query: Query,
    source: str,
    columns: Sequence[Column],
    candidates: Sequence[Sequence[str]],
    progress: Progress,
) -> list[list[tuple[str, int]]]:
    """How often each candidate is there; those that are there more than once, the most frequent first."""
    asked = [(at, candidate) for at, known in enumerate(candidates) for candidate in known]
    found: list[list[tuple[str, int]]] = [[] for _ in columns]
    if not asked:
        return found
    counts = ", ".join(
        f"count(*) FILTER (left(CAST({name(columns[at].name)} AS VARCHAR), {_CUT}) = {text(candidate)})"
        for at, candidate in asked
    )
    [answer] = query.rows(f"SELECT {counts} FROM {source}", progress)  # noqa: S608 - as above
    for (at, candidate), count in zip(asked, answer, strict=True):
        if count > 1:
            found[at].append((candidate, count))
    return [sorted(values, key=lambda value: (-value[1], value[0]))[:_FREQUENT] for values in found]


def _is_unique(taken: dict[str, Any]) -> bool:
    return taken["count"] > _FEW and taken.get("distinct", 0) > taken["count"] * _UNIQUE


def _profile(column: Column, taken: dict[str, Any], frequent: list[tuple[str, int]], rows: int) -> Profile:
    count = taken["count"]
    profile: Profile = {"name": column.name, "type": column.shown_type, "nulls": rows - count}
    if column.is_nested:
        return profile
    profile["distinct"] = min(taken["distinct"], count)
    if "fitting" in taken:
        profile["misfits"] = count - taken["fitting"]
    for key in ("min", "max", "mean", "shortest", "longest"):
        if key in taken:
            profile[key] = _plain(taken[key])
    if taken.get("quantiles"):
        profile["quantiles"] = {
            f"{quantile:g}": _plain(value)
            for quantile, value in zip(_QUANTILES, taken["quantiles"], strict=True)
        }
    profile["frequent"] = [{"value": value, "count": count} for value, count in frequent]
    return profile


def _plain(value: Any) -> Any:
    """As JSON has it; what is no number there is text."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _parts(of: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(of), _AT_A_TIME):
        yield of[at : at + _AT_A_TIME]
