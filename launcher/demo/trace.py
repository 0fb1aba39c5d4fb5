"""A trace id in, its spans from the monitor out, as a tree in reading order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.state import State


@dataclass(frozen=True)
class Span:
    """One span of a trace; `depth` is how many spans it lies within."""

    name: str
    service: str
    duration_ms: float
    depth: int


async def spans_of(state: State, trace_id: str) -> list[Span]:
    """The spans that the monitor has so far, none while it knows nothing of the trace."""
    headers = {"Authorization": f"Bearer {state.api_key}"}
    async with httpx.AsyncClient(base_url=state.monitor or "", headers=headers) as monitor:
        answer = await monitor.get(f"/api/traces/{trace_id}")
    return list(_tree(answer.json()["data"][0])) if answer.is_success else []


def _tree(trace: dict[str, Any]) -> Iterator[Span]:
    spans = {span["spanID"]: span for span in trace["spans"]}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for span in sorted(trace["spans"], key=lambda span: span["startTime"]):
        children.setdefault(_parent(span, spans), []).append(span)

    def below(parent: str | None, depth: int) -> Iterator[Span]:
        for span in children.get(parent, ()):
            service = trace["processes"][span["processID"]]["serviceName"]
            yield Span(span["operationName"], service, span["duration"] / 1000, depth)
            yield from below(span["spanID"], depth + 1)

    return below(None, 0)


def _parent(span: dict[str, Any], spans: dict[str, Any]) -> str | None:
    parents = (link["spanID"] for link in span["references"] if link["refType"] == "CHILD_OF")
    return next((parent for parent in parents if parent in spans), None)
