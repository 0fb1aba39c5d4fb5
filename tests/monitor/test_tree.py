"""Who caused whom, as a tree that can be drawn."""

from typing import Any

from monitor.pages.tree import DEEPEST, Node, tree_of

AT = "2026-11-23T12:00:00Z"


def _job(handler: str, event: str, state: str = "succeeded") -> dict[str, Any]:
    return {"id": f"{handler}:{event}", "handler": handler, "state": state}


def _event(
    name: str, *jobs: dict[str, Any], cause: str | None = None, by: str | None = None
) -> dict[str, Any]:
    return {
        "id": name,
        "type": name,
        "causation_id": cause,
        "caused_by": by,
        "published_at": AT,
        "jobs": list(jobs),
    }


def _listed(*events: dict[str, Any], left_out: int = 0) -> dict[str, Any]:
    return {"root": events[0]["id"], "events": list(events), "left_out": left_out}


def _outline(node: Node) -> Any:
    below = [(branch.job["handler"], [_outline(one) for one in branch.caused]) for branch in node.branches]
    return (node.event["id"], below, [_outline(one) for one in node.others])


def test_what_a_job_caused_stands_below_it() -> None:
    tree = tree_of(
        _listed(
            _event("order", _job("reserve", "order"), _job("confirm", "order")),
            _event("reserved", _job("notify", "reserved"), cause="order", by="reserve:order"),
            _event("changed", cause="order", by="reserve:order"),
            _event("notified", cause="reserved", by="notify:reserved"),
        ),
        "reserved",
    )

    reserved = ("reserved", [("notify", [("notified", [], [])])], [])
    assert _outline(tree.root) == (
        "order",
        [("reserve", [reserved, ("changed", [], [])]), ("confirm", [])],
        [],
    )
    assert (tree.events, tree.jobs, tree.standing) == (4, 3, "done")


def test_what_nobody_knows_the_job_of_stands_below_its_event_and_else_below_the_root() -> None:
    tree = tree_of(
        _listed(
            _event("root", _job("work", "root")),
            _event("child", cause="root", by="work:root"),
            _event("from elsewhere", cause="child"),
            _event("of one left out", cause="unknown", by="gone:unknown"),
        ),
        "root",
    )

    assert _outline(tree.root) == (
        "root",
        [("work", [("child", [], [("from elsewhere", [], [])])])],
        [("of one left out", [], [])],
    )


def test_a_tree_is_open_while_a_job_is_or_an_event_is_on_no_bus() -> None:
    root = _event(
        "root", _job("a", "root", "running"), _job("b", "root", "dead"), _job("c", "root", "running")
    )
    unpublished = _event("root") | {"published_at": None}

    running = tree_of(_listed(root, left_out=3), "root")

    assert (running.standing, running.open_jobs, running.left_out) == ("open", {"running": 2}, 3)
    assert tree_of(_listed(unpublished), "root").standing == "open"


def test_a_chain_without_end_is_drawn_to_a_depth() -> None:
    chain = [_event("0")] + [_event(str(number), cause=str(number - 1)) for number in range(1, 500)]

    tree = tree_of(_listed(*chain), "499")

    node, depth = tree.root, 0
    while node.others:
        node, depth = node.others[0], depth + 1
        assert node.depth == depth
    assert (depth, tree.events) == (DEEPEST, 500)


def test_deep_branches_of_a_large_tree_are_folded_but_for_the_way_to_what_was_asked_for() -> None:
    events = [_event("root"), _event("a", cause="root"), _event("b", cause="root")]
    events += [_event(f"a{number}", cause="a") for number in range(30)]
    events += [_event(f"b{number}", cause="b") for number in range(30)]
    events.append(_event("deep", cause="a7"))

    large = tree_of(_listed(*events), "deep").root
    a, _ = large.others

    assert [node.event["id"] for node in a.others if not node.is_folded] == ["a7"]
    assert not a.is_folded
    small = tree_of(_listed(*events[:20]), "root").root
    assert not any(node.is_folded for node in small.others[0].others)


def test_events_that_name_each_other_as_causes_are_drawn_once() -> None:
    circle = _listed(_event("a", cause="b"), _event("b", cause="a"), _event("a", cause="b"))

    assert _outline(tree_of(circle, "a").root) == ("a", [], [("b", [], [])])
