"""What is asked of the stored traces, and what comes back: values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from monitor.traces.span import Span


@dataclass(frozen=True)
class Search:
    """What a trace must have: one span of the service that fits all the rest. Instants and lengths in µs."""

    service: str
    start_us: int
    end_us: int
    operation: str | None = None
    duration_min_us: int | None = None
    duration_max_us: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    limit: int = 100


@dataclass(frozen=True)
class Found:
    """The traces that fit, newest first, spans by start; `left_out` more fit but were too large together."""

    traces: Sequence[Sequence[Span]]
    left_out: int = 0


@dataclass(frozen=True)
class Operation:
    """A span name that a service uses; `kind` is "" when its spans say none."""

    name: str
    kind: str


@dataclass(frozen=True)
class Dependency:
    """How often a span of `parent` had a child in the service `child`."""

    parent: str
    child: str
    calls: int


@dataclass(frozen=True)
class TraceSummary:
    """One line in a list of traces; the root is the first span that has no parent here."""

    trace_id: bytes
    start_us: int
    duration_us: int
    spans: int
    errors: int
    services: Sequence[str]
    root_service: str
    root_operation: str


@dataclass(frozen=True)
class Cursor:
    """Where the next page of recent() begins: after this trace."""

    start_us: int
    trace_id: bytes
