"""The flow: who publishes what, and a graph with few crossings."""

from itertools import pairwise

from monitor.drawing.flow import GAP, HIGH, crossings, graph, untangled
from monitor.pages.flow import CLIENTS, flow_of, graph_of, publisher_of
from tests.monitor.test_health import handler

LEFT, RIGHT = ["a", "b", "c"], ["x", "y", "z"]
CROSSED = [("a", "z"), ("b", "y"), ("c", "x")]


def test_edges_that_cross_are_counted() -> None:
    assert crossings([LEFT, RIGHT], CROSSED) == 3
    assert crossings([LEFT, RIGHT], [("a", "x"), ("a", "y"), ("b", "y")]) == 0


def test_nodes_move_so_that_edges_do_not_cross() -> None:
    ordered = untangled([LEFT, RIGHT], CROSSED)

    assert crossings(ordered, CROSSED) == 0
    assert [sorted(column) for column in ordered] == [LEFT, RIGHT]


def test_what_needs_no_moving_stays() -> None:
    edges = [("a", "x"), ("b", "y"), ("c", "z")]

    assert untangled([LEFT, RIGHT], edges) == [LEFT, RIGHT]
    assert untangled([LEFT, []], []) == [LEFT, []]
    assert untangled([], []) == []


def test_a_tangle_of_three_columns_gets_better_and_is_drawn_the_same_each_time() -> None:
    columns = [["p", "q"], ["a", "b", "c", "d"], ["w", "x", "y", "z"]]
    edges = [("p", "d"), ("p", "b"), ("q", "a"), ("q", "c"), ("a", "z"), ("b", "y"), ("c", "x"), ("d", "w")]

    ordered = untangled(columns, edges)

    assert crossings(ordered, edges) < crossings(columns, edges)
    assert ordered == untangled(columns, edges)


def test_nodes_do_not_overlap_and_each_column_fills_the_height() -> None:
    drawn = graph([["a"], RIGHT], [("a", "x")], wide=(20, 30))
    [alone], others = drawn.columns

    assert drawn.high == 3 * (HIGH + GAP)
    assert alone.middle == drawn.high / 2
    assert [node.left for node in (alone, *others)] == [0, 70, 70, 70]
    assert all(after.top - before.top >= HIGH for before, after in pairwise(others))


def test_a_curve_leads_from_the_edge_of_one_box_to_that_of_the_other() -> None:
    drawn = graph([["a"], ["x"]], [("a", "x")], wide=(20, 30))

    assert [curve.path for curve in drawn.curves] == ["M200 17C450 17 450 17 700 17"]


def test_publishers_are_known_by_code_by_schedule_and_by_what_was_seen() -> None:
    handlers = [
        handler("email.send", event_type="email.requested", causes=["email.sent"]),
        handler("report.daily", event_type="cron.daily", causes=["email.requested"]),
        handler("file.process", event_type="file.uploaded"),
    ]

    flow = flow_of(handlers, [{"type": "cron.daily"}], [("gateway", "email.requested")])

    assert flow.publishers == {
        "cron.daily": ["scheduler"],
        "email.requested": ["gateway", "report"],
        "email.sent": ["email"],
        "file.uploaded": [CLIENTS],
    }
    assert [one.name for one in flow.handlers["email.requested"]] == ["email.send"]
    assert flow.handlers["email.sent"] == []


def test_a_source_of_ours_is_a_service_and_any_other_a_client() -> None:
    assert publisher_of("/trunkline/gateway") == "gateway"
    assert publisher_of("https://shop.example/orders") == CLIENTS


def test_a_service_that_publishes_and_handles_stands_on_both_sides() -> None:
    loop = handler("email.send", event_type="email.requested", causes=["email.requested"])

    drawn = graph_of(flow_of([loop], [], []))

    assert [[node.key for node in column] for column in drawn.columns] == [
        ["publisher email"],
        ["event email.requested"],
        ["handler email.send"],
    ]
    assert [(curve.start, curve.end) for curve in drawn.curves] == [
        ("publisher email", "event email.requested"),
        ("event email.requested", "handler email.send"),
    ]


def test_nothing_is_an_empty_graph() -> None:
    assert graph_of(flow_of([], [], [])).high == 0
