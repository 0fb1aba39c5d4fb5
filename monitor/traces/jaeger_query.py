"""The query string of Jaeger's API in, a Search out; pure. What cannot be read is a BadQuery."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from starlette.datastructures import QueryParams

from monitor.traces.search import Search

LIMIT_MAX = 1_500
"""The most traces in one answer, as in Jaeger's own UI."""

_LIMIT = 100
_NAMED_MAX = 100
_LOOKBACK = timedelta(days=2)
_DEPENDENCY_LOOKBACK = timedelta(days=1)
_US = timedelta(microseconds=1)
_INTEGER_MAX = 2**63 - 1
_UNITS_US = {"ns": 1e-3, "us": 1.0, "µs": 1.0, "μs": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}
_PART_OF_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_TRACE_ID = re.compile(r"[0-9a-fA-F]{1,32}")


class BadQuery(ValueError):
    """A parameter cannot be read; the message is for the caller."""


@dataclass(frozen=True)
class TraceQuery:
    """Either a search or the ids of traces."""

    search: Search | None
    trace_ids: Sequence[bytes] = ()


@dataclass(frozen=True)
class Window:
    """A stretch of time, both ends within it, in µs since 1970."""

    start_us: int
    end_us: int


def trace_query(query: QueryParams, *, now_us: int) -> TraceQuery:
    """What GET /api/traces asks for."""
    named = [parse_trace_id(text) for text in query.getlist("traceID")]
    if len(named) > _NAMED_MAX:
        raise BadQuery(f"unable to parse param 'traceID': more than {_NAMED_MAX}")
    shortest, longest = _duration_us(query, "minDuration"), _duration_us(query, "maxDuration")
    if shortest and longest and longest < shortest:
        raise BadQuery("'maxDuration' should be greater than 'minDuration'")
    service = query.get("service", "")
    if not service and not named:
        raise BadQuery("parameter 'service' is required")
    search = Search(
        service=service,
        operation=query.get("operation") or None,
        start_us=_integer(query, "start", now_us - _LOOKBACK // _US),
        end_us=_integer(query, "end", now_us),
        duration_min_us=shortest or None,
        duration_max_us=longest or None,
        tags=_tags(query.getlist("tag"), query.getlist("tags")),
        limit=min(_integer(query, "limit", _LIMIT), LIMIT_MAX),
    )
    if search.limit < 1:
        raise BadQuery("unable to parse param 'limit': must be 1 or more")
    return TraceQuery(None, named) if named else TraceQuery(search)


def dependency_window(query: QueryParams, *, now_us: int) -> Window:
    """The time that GET /api/dependencies asks about; its parameters are in ms."""
    end_us = _integer(query, "endTs", now_us // 1000) * 1000
    lookback_us = _integer(query, "lookback", _DEPENDENCY_LOOKBACK // (_US * 1000)) * 1000
    return Window(_bounded(end_us - lookback_us), _bounded(end_us))


def parse_trace_id(text: str) -> bytes:
    """The 16 bytes of a trace id in hex; a shorter one is filled with zeros from the left, as Jaeger does."""
    if not _TRACE_ID.fullmatch(text):
        raise BadQuery("cannot parse traceID: it must be 1 to 32 hexadecimal digits")
    return bytes.fromhex(text.rjust(32, "0"))


def _integer(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    # isascii: int() would also take the digits of other scripts
    if not (text.isascii() and text.removeprefix("-").isdigit()) or len(text) > len(str(_INTEGER_MAX)):
        raise BadQuery(f"unable to parse param '{name}': it is no 64-bit integer")
    return _bounded(int(text))


def _bounded(number: int) -> int:
    return max(-_INTEGER_MAX, min(number, _INTEGER_MAX))


def _duration_us(query: QueryParams, name: str) -> int:
    """A duration as Go writes it: `1.5ms`, `2h45m`; 0 when there is none."""
    text = query.get(name, "").removeprefix("+")
    if text in {"", "0"}:
        return 0
    parts = _PART_OF_DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise BadQuery(f"unable to parse param '{name}': it is no duration like 1.5ms, 300us or 2h45m")
    return _bounded(round(sum(float(number) * _UNITS_US[unit] for number, unit in parts)))


def _tags(simple: Sequence[str], documents: Sequence[str]) -> Mapping[str, str]:
    """The wanted tags: `tag=key:value`, and `tags=` with a JSON object of strings."""
    tags: dict[str, str] = {}
    for text in simple:
        key, colon, value = text.partition(":")
        if not colon:
            raise BadQuery("malformed 'tag' parameter, expecting key:value")
        tags[key] = value
    for document in documents:
        try:
            tags |= msgspec.json.decode(document, type=dict[str, str]) if document else {}
        except msgspec.DecodeError as error:
            raise BadQuery(
                f"malformed 'tags' parameter, expecting a JSON object of strings: {error}"
            ) from error
    return tags
