"""What a caller, a collector and a reader of the log see of a request."""

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException

from shared.telemetry import (
    Metrics,
    TraceMiddleware,
    Tracing,
    configure_logging,
    current_traceparent,
    get_logger,
)
from shared.telemetry import trace_id_of as trace_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.otlp_receiver import OtlpReceiver

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
pytestmark = pytest.mark.usefixtures("logging_restored")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(service="gateway", version="1")


@pytest.fixture
async def client(tracing: Tracing, metrics: Metrics) -> "AsyncIterator[httpx.AsyncClient]":
    configure_logging("gateway", level="info", format="json")
    transport = httpx.ASGITransport(
        TraceMiddleware(_app(), tracing, metrics=metrics), raise_app_exceptions=False
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


def _app() -> FastAPI:
    users = APIRouter(prefix="/users")

    @users.get("/{user_id}")
    async def show_user(user_id: int) -> dict[str, str | None]:
        get_logger().info("user.shown")
        return {"id": str(user_id), "trace_id": trace_id(current_traceparent())}

    @users.get("/{user_id}/busy")
    async def show_busy(user_id: int) -> None:
        raise HTTPException(503, str(user_id))

    @users.get("/{user_id}/broken")
    async def show_broken(user_id: int) -> None:
        raise LookupError(str(user_id))

    v1 = APIRouter(prefix="/v1")
    v1.include_router(users)
    app, mounted = FastAPI(), FastAPI()

    @mounted.get("/pages/{page}")
    async def show_page(page: str) -> str:
        return page

    @app.get("/livez")
    async def live() -> str:
        return "ok"

    app.include_router(v1)
    app.mount("/docs-of", mounted)
    assert [show_user, show_busy, show_broken, show_page, live]
    return app


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def requests(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [line for line in lines(capsys) if line["event"] == "http.request"]


async def test_a_request_goes_on_with_the_callers_trace_and_tells_its_id(
    client: httpx.AsyncClient, collector: "OtlpReceiver"
) -> None:
    answer = await client.get("/v1/users/7?verbose=1", headers={"traceparent": CALLER})

    (span,) = await collector.until(lambda spans: len(spans) == 1)
    assert answer.headers["X-Trace-Id"] == trace_id(CALLER) == answer.json()["trace_id"] == span.trace_id
    assert (span.name, span.kind, span.parent_id) == ("GET /v1/users/{user_id}", "SERVER", CALLER[36:52])
    assert span.attributes == {
        "http.request.method": "GET",
        "url.path": "/v1/users/7",
        "http.route": "/v1/users/{user_id}",
        "http.response.status_code": 200,
    }


async def test_a_sane_request_id_is_echoed_and_any_other_is_replaced(client: httpx.AsyncClient) -> None:
    echoed = await client.get("/v1/users/7", headers={"X-Request-Id": "order-7_a.B"})
    long, odd = [
        (await client.get("/v1/users/7", headers={"X-Request-Id": given})).headers["X-Request-Id"]
        for given in ("a" * 129, "a b")
    ]
    made = (await client.get("/v1/users/7")).headers["X-Request-Id"]

    assert echoed.headers["X-Request-Id"] == "order-7_a.B"
    assert {len(long), len(odd), len(made)} == {32}


async def test_what_the_monitor_reads_again_and_again_is_no_line_but_what_it_meets_is(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    monitor = {"User-Agent": "trunkline-monitor"}
    for path, headers in (("/v1/users/7", monitor), ("/v1/users/8", {}), ("/v1/nothing", monitor)):
        await client.get(path, headers=headers)

    assert [request["status"] for request in requests(capsys)] == [200, 404]


async def test_a_request_writes_one_line_and_those_within_carry_its_ids(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await client.get(
        "/v1/users/7?token=hunter2", headers={"X-Request-Id": "r1", "traceparent": CALLER}
    )

    inner, request = [line for line in lines(capsys) if line["event"] != "HTTP Request"][:2]
    assert answer.status_code == 200
    assert (inner["event"], inner["trace_id"], inner["request_id"]) == ("user.shown", trace_id(CALLER), "r1")
    assert 0 < request.pop("took_s") < 5
    assert request.pop("timestamp")
    assert request == {
        "level": "info",
        "event": "http.request",
        "service": "gateway",
        "method": "GET",
        "route": "/v1/users/{user_id}",
        "status": 200,
        "trace_id": trace_id(CALLER),
        "request_id": "r1",
    }


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/v1/users/seven", "/v1/users/{user_id}", 422),
        ("POST", "/v1/users/7", "/v1/users/{user_id}", 405),
        ("GET", "/docs-of/pages/3", "/docs-of/pages/{page}", 200),
        ("GET", "/docs-of/nothing", None, 404),
        ("GET", "/nothing", None, 404),
        ("BREW", "/nothing", None, 404),
    ],
)
async def test_a_route_is_named_by_its_template_and_never_by_what_the_caller_wrote(  # noqa: PLR0917 - its cases
    client: httpx.AsyncClient,
    metrics: Metrics,
    capsys: pytest.CaptureFixture[str],
    method: str,
    path: str,
    route: str | None,
    status: int,
) -> None:
    answer = await client.request(method, path)

    (request,) = requests(capsys)
    named = method if method != "BREW" else "_OTHER"
    assert (request["method"], request["route"], request["status"]) == (named, route, status)
    assert answer.status_code == status
    sample = f'request_duration_seconds_count{{method="{named}",route="{route or ""}",status="{status}"}} 1.0'
    assert sample in metrics.render().decode()


async def test_a_refusal_of_the_service_fails_the_span_and_a_mistake_of_the_caller_does_not(
    client: httpx.AsyncClient, collector: "OtlpReceiver", capsys: pytest.CaptureFixture[str]
) -> None:
    await client.get("/v1/users/7/busy")
    await client.get("/nothing")

    await collector.until(lambda spans: len(spans) == 2)
    busy, nothing = collector.named("GET /v1/users/{user_id}/busy"), collector.named("GET")
    assert (busy.failed, busy.attributes["error.type"]) == (True, "503")
    assert (nothing.failed, "error.type" in nothing.attributes) == (False, False)
    assert [request["level"] for request in requests(capsys)] == ["warning", "info"]


async def test_an_exception_is_in_the_line_and_in_the_span_and_goes_on_to_the_server(
    client: httpx.AsyncClient, collector: "OtlpReceiver", capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await client.get("/v1/users/7/broken")

    (span,) = await collector.until(lambda spans: len(spans) == 1)
    (request,) = requests(capsys)
    assert answer.status_code == 500
    assert answer.headers["X-Trace-Id"] == span.trace_id
    assert (span.failed, span.attributes["error.type"]) == (True, "LookupError")
    assert (request["level"], request["status"], request["error_type"]) == ("error", 500, "LookupError")
    assert request["exception"]["type"] == "LookupError"


async def test_health_pages_are_neither_traced_nor_logged_nor_counted(
    client: httpx.AsyncClient, metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await client.get("/livez")

    assert answer.status_code == 200
    assert "X-Trace-Id" not in answer.headers
    assert requests(capsys) == []
    assert b'route="/livez"' not in metrics.render()


async def test_two_traceparents_contradict_each_other_and_start_a_new_trace(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/v1/users/7", headers=[("traceparent", CALLER), ("traceparent", CALLER)])

    assert answer.headers["X-Trace-Id"] != trace_id(CALLER)
