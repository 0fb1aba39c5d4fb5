"""Jaeger's query API on spans with chosen times, names and tags."""

import pytest
from starlette.datastructures import QueryParams

from monitor.traces.jaeger_query import LIMIT_MAX, trace_query
from tests.monitor.bodies import NOW_US, Made, otlp, trace_id
from tests.monitor.running import Running

SHOP = Made(trace=1, span=1, service="shop", name="order", took_us=50_000, tags=(("colour", "red"),))
MAIL = Made(trace=1, span=2, parent=1, service="mail", name="send", took_us=20_000)
LATER = Made(trace=2, span=3, service="shop", name="browse", start_us=NOW_US + 1_000_000, is_error=True)
OLD = Made(trace=3, span=4, service="shop", name="order", start_us=NOW_US - 3_600_000_000)


SEARCHES: list[tuple[dict[str, str | int], list[int]]] = [
    ({}, [2, 1, 3]),
    ({"service": "mail"}, [1]),
    ({"service": "nobody"}, []),
    ({"limit": 1}, [2]),
    ({"operation": "order"}, [1, 3]),
    ({"start": NOW_US - 1}, [2, 1]),
    ({"end": NOW_US - 1}, [3]),
    ({"minDuration": "49.5ms"}, [1]),
    ({"maxDuration": "1ms"}, [2, 3]),
    ({"minDuration": "0.04s", "maxDuration": "1m"}, [1]),
    ({"tags": '{"colour":"red"}'}, [1]),
    ({"tag": "colour:red"}, [1]),
    ({"tags": '{"colour":"blue"}'}, []),
    ({"tags": '{"error":"true"}'}, [2]),
]

UNREADABLE = [
    ("/api/traces", "service"),
    ("/api/operations", "service"),
    ("/api/traces?service=shop&limit=many", "limit"),
    ("/api/traces?service=shop&limit=0", "limit"),
    ("/api/traces?service=shop&start=yesterday", "start"),
    ("/api/traces?service=shop&end=99999999999999999999999", "end"),
    ("/api/traces?service=shop&minDuration=fast", "minDuration"),
    ("/api/traces?service=shop&minDuration=2s&maxDuration=1s", "maxDuration"),
    ("/api/traces?service=shop&tags=red", "tags"),
    ("/api/traces?service=shop&tag=red", "tag"),
    ("/api/traces?traceID=xyz", "traceID"),
    ("/api/traces/xyz", "traceID"),
    ("/api/dependencies?endTs=now", "endTs"),
]


@pytest.fixture
async def filled(monitor: Running) -> Running:
    assert (await monitor.post(otlp(SHOP, MAIL, LATER, OLD))).status_code == 200
    return monitor


async def test_services_and_operations_are_listed_by_name(filled: Running) -> None:
    services = (await filled.get("/api/services")).json()
    names = (await filled.get("/api/services/shop/operations")).json()
    operations = (await filled.get("/api/operations", service="mail")).json()

    assert services == {"data": ["mail", "shop"], "total": 2, "limit": 0, "offset": 0, "errors": None}
    assert names["data"] == ["browse", "order"]
    assert operations["data"] == [{"name": "send", "spanKind": "server"}]
    assert (await filled.get("/api/operations", service="mail", spanKind="client")).json()["data"] == []


async def test_a_search_finds_the_traces_that_fit_newest_first(
    filled: Running, subtests: pytest.Subtests
) -> None:
    for query, expected in SEARCHES:
        with subtests.test(query=query):
            given = {"service": "shop", "end": NOW_US + 60_000_000} | query

            answer = (await filled.get("/api/traces", **given)).json()

            assert [trace["traceID"] for trace in answer["data"]] == [trace_id(found) for found in expected]
            assert answer["errors"] is None


async def test_a_found_trace_has_the_spans_of_all_its_services(filled: Running) -> None:
    found = (await filled.get("/api/traces", service="mail")).json()["data"][0]

    assert [span["operationName"] for span in found["spans"]] == ["order", "send"]
    assert {process["serviceName"] for process in found["processes"].values()} == {"shop", "mail"}


async def test_traces_are_had_by_id_too_and_those_missing_are_named(filled: Running) -> None:
    answer = (await filled.get(f"/api/traces?traceID={trace_id(1)}&traceID=abc")).json()

    assert [trace["traceID"] for trace in answer["data"]] == [trace_id(1)]
    assert answer["errors"] == [{"code": 404, "msg": "trace not found", "traceID": trace_id(0xABC)}]


async def test_an_unknown_trace_is_a_404_with_errors(monitor: Running) -> None:
    answer = await monitor.get(f"/api/traces/{trace_id(9)}")

    assert answer.status_code == 404
    assert answer.json() == {
        "data": None,
        "total": 0,
        "limit": 0,
        "offset": 0,
        "errors": [{"code": 404, "msg": "trace not found"}],
    }


async def test_a_value_that_cannot_be_read_is_a_400_that_names_it(
    monitor: Running, subtests: pytest.Subtests
) -> None:
    for path, culprit in UNREADABLE:
        with subtests.test(path=path):
            answer = await monitor.get(path)

            [error] = answer.json()["errors"]
            assert (answer.status_code, error["code"]) == (400, 400)
            assert culprit in error["msg"]


async def test_dependencies_count_the_calls_from_service_to_service(filled: Running) -> None:
    answer = (await filled.get("/api/dependencies", endTs=NOW_US // 1000 + 1000, lookback=60_000)).json()

    assert answer["data"] == [{"parent": "shop", "child": "mail", "callCount": 1}]


def test_no_search_asks_for_more_than_1500_traces() -> None:
    search = trace_query(QueryParams("service=shop&limit=1000000"), now_us=NOW_US).search

    assert search is not None
    assert search.limit == LIMIT_MAX == 1500
