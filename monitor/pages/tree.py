"""Events with their jobs, as the API lists them, in; who caused whom out: a tree to be drawn; pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

DEEPEST: Final = 8
"""Causes that are drawn one within the other; what is deeper stands at this depth."""
UNFOLDED_MAX: Final = 40
"""Of a tree with more events, deep branches are folded until somebody opens them."""
SIDE_BY_SIDE: Final = 20
"""So many events of one cause are shown; the rest are folded."""

_FOLDED_FROM: Final = 2
_FINAL: Final = frozenset({"succeeded", "dead", "cancelled", "expired"})


@dataclass
class Node:
    """An event, its jobs with what each caused, and what it caused without a job that anybody knows."""

    event: Mapping[str, Any]
    depth: int
    is_asked_for: bool = False
    branches: "list[Branch]" = field(default_factory=list["Branch"])
    others: "list[Node]" = field(default_factory=list["Node"])
    has_asked_for: bool = False
    """Whether the event that was asked for is this one or below."""
    is_folded: bool = False


@dataclass
class Branch:
    """A job and the events that it caused."""

    job: Mapping[str, Any]
    caused: list[Node] = field(default_factory=list[Node])


@dataclass(frozen=True)
class Tree:
    """All of it, and how it stands."""

    root: Node
    events: int
    states: Mapping[str, int]
    """How many jobs are in each state."""
    unpublished: int
    left_out: int

    @property
    def jobs(self) -> int:
        """How many jobs there are."""
        return sum(self.states.values())

    @property
    def open_jobs(self) -> Mapping[str, int]:
        """The states of those that have not ended."""
        return {state: count for state, count in self.states.items() if state not in _FINAL}

    @property
    def standing(self) -> str:
        """`open` while a job has not ended or an event is on no bus yet, then `done`."""
        return "open" if self.open_jobs or self.unpublished else "done"


def tree_of(listed: Mapping[str, Any], asked_for: str) -> Tree:
    """The tree of GET /v1/events/{id}/tree, in which causes stand before what they caused."""
    first, *rest = listed["events"]
    root = Node(first, 0, is_asked_for=first["id"] == asked_for)
    nodes: dict[str, Node] = {first["id"]: root}
    beside: dict[str, list[Node]] = {first["id"]: root.others}
    causing = _with_jobs(root)
    for event in rest:
        if event["id"] in nodes:
            continue
        by_job = causing.get(event["caused_by"] or "")
        above = by_job[0] if by_job else nodes.get(event["causation_id"] or "", root)
        node = Node(event, min(above.depth + 1, DEEPEST), is_asked_for=event["id"] == asked_for)
        if above.depth == DEEPEST:
            place = beside[above.event["id"]]
        else:
            place = by_job[1].caused if by_job else above.others
        place.append(node)
        nodes[event["id"]] = node
        beside[event["id"]] = place
        causing |= _with_jobs(node)
    _fold(root, is_large=len(nodes) > UNFOLDED_MAX)
    states = Counter(job["state"] for node in nodes.values() for job in node.event["jobs"])
    unpublished = sum(node.event["published_at"] is None for node in nodes.values())
    return Tree(root, len(nodes), states, unpublished, listed["left_out"])


def _with_jobs(node: Node) -> dict[str, tuple[Node, Branch]]:
    """Give the node a branch for each of its jobs; them by job."""
    node.branches = [Branch(job) for job in node.event["jobs"]]
    return {branch.job["id"]: (node, branch) for branch in node.branches}


def _fold(node: Node, *, is_large: bool) -> None:
    """Fold what is deep in a large tree, but for the way to what was asked for."""
    for below in _below(node):
        _fold(below, is_large=is_large)
    node.has_asked_for = node.is_asked_for or any(below.has_asked_for for below in _below(node))
    node.is_folded = is_large and node.depth >= _FOLDED_FROM and not node.has_asked_for


def _below(node: Node) -> Iterator[Node]:
    for branch in node.branches:
        yield from branch.caused
    yield from node.others
