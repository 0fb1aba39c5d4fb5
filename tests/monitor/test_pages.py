"""The pages of the traces, as a browser gets them."""

import re
from pathlib import Path

from pydantic import SecretStr

from monitor.drawing.words import ago, instant, took
from tests.monitor.bodies import NOW_US, Made, otlp, trace_id
from tests.monitor.running import Running, running


async def test_the_empty_list_says_how_to_make_a_trace(monitor: Running) -> None:
    start = await monitor.get("/")
    page = await monitor.get("/traces")

    assert (start.status_code, start.headers["location"]) == (303, "/traces"), "no gateway, no other page"
    assert page.status_code == 200
    assert "curl -i http://127.0.0.1:8000/v1/users" in page.text
    assert monitor.otlp_url.removesuffix("/v1/traces") in page.text


async def test_the_list_shows_the_newest_first_and_marks_errors(monitor: Running) -> None:
    old = Made(trace=1, span=1, name="old", start_us=NOW_US - 1_000_000)
    failed = Made(trace=2, span=2, parent=3, service="mail", name="send", is_error=True)
    root = Made(trace=2, span=3, name="POST /orders", took_us=12_340)
    await monitor.post(otlp(old, failed, root))

    page = (await monitor.get("/traces")).text

    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)[1:]
    assert len(rows) == 2
    assert f'<a href="/traces/{trace_id(2)}">POST /orders</a>' in rows[0]
    assert "1 error<" in rows[0]
    assert "12.3 ms" in rows[0]
    assert "old" in rows[1]
    assert "error" not in rows[1]


async def test_the_list_can_be_of_one_service_and_goes_on_page_by_page(monitor: Running) -> None:
    shop = [Made(trace=n, span=1, name=f"shop {n}.", start_us=NOW_US + n) for n in range(1, 61)]
    await monitor.post(otlp(*shop, Made(trace=99, span=1, service="mail", name="send")))

    first = (await monitor.get("/traces", service="shop")).text
    [older] = re.findall(r'rel="next" href="([^"]+)"', first)
    second = (await monitor.get(older.replace("&amp;", "&"))).text

    names = [re.findall(r">(shop \d+\.|send)</a>", page) for page in (first, second)]
    assert names == [[f"shop {n}." for n in range(60, 10, -1)], [f"shop {n}." for n in range(10, 0, -1)]]
    assert 'rel="next"' not in second


async def test_a_trace_is_drawn_with_what_its_spans_say_escaped(monitor: Running) -> None:
    root = Made(trace=1, span=1, name="<script>alert(1)</script>", tags=(("query", "a < b"),))
    child = Made(trace=1, span=2, parent=1, service="mail", name="send", is_error=True)
    await monitor.post(otlp(root, child))

    page = await monitor.get(f"/traces/{trace_id(1)}")

    assert "<script>" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<dd>a &lt; b</dd>" in page.text
    assert page.text.count("<details") == 2
    assert page.text.count('class="span failed"') == 1
    assert 'style="' not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


async def test_a_trace_with_more_spans_than_are_drawn_says_so(monitor: Running) -> None:
    await monitor.post(otlp(*(Made(trace=1, span=number) for number in range(1, 1_200))))

    page = (await monitor.get(f"/traces/{trace_id(1)}")).text

    assert page.count("<details") == 1_000
    assert "1000 of 1199 spans are drawn" in page


async def test_a_page_that_is_not_there_explains_itself(monitor: Running) -> None:
    missing = await monitor.get(f"/traces/{trace_id(7)}")
    misspelt = await monitor.get("/traces/no-id")
    bad_cursor = await monitor.get("/traces", after="x")

    assert [page.status_code for page in (missing, misspelt, bad_cursor)] == [404, 400, 400]
    assert "was too old" in missing.text
    assert "32 hexadecimal digits" in misspelt.text


async def test_the_stylesheet_is_a_file(monitor: Running) -> None:
    sheet = await monitor.get("/static/monitor.css")

    assert sheet.status_code == 200
    assert sheet.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in sheet.text


def test_lengths_and_instants_are_written_for_people() -> None:
    lengths = (0, 850, 1_234, 12_345, 123_456, 999_999, 1_500_000, 125_000_000, 7_260_000_000)

    assert [took(length) for length in lengths] == [
        "0 µs",
        "850 µs",
        "1.23 ms",
        "12.3 ms",
        "123 ms",
        "1000 ms",
        "1.50 s",
        "2 min 5 s",
        "2 h 1 min",
    ]
    assert instant(1_795_000_000_123_000) == "2026-11-18 11:06:40.123"
    assert instant(2**63 - 1) == "no valid time"
    assert [ago(0, seconds * 1_000_000) for seconds in (0, 40, 200, 90_000)] == [
        "just now",
        "40 s ago",
        "3 min ago",
        "1 d ago",
    ]


async def test_a_span_of_a_job_leads_to_the_job_where_jobs_can_be_seen(tmp_path: Path) -> None:
    job_id = "email.send:019a"
    keys = SecretStr("reader=read")
    settings = {"gateway_url": "http://127.0.0.1:9", "api_keys": keys, "trace_ui_url": "http://ui/{trace_id}"}
    async with running(tmp_path / "whole", **settings) as whole, running(tmp_path / "alone") as alone:
        for one in (whole, alone):
            await one.post(otlp(Made(trace=1, span=1, tags=(("trunkline.job.id", job_id),))))
        key = {"Authorization": "Bearer reader"}
        with_jobs = (await whole.client.get(f"/traces/{trace_id(1)}", headers=key)).text
        without = (await alone.get(f"/traces/{trace_id(1)}")).text

    assert f'<a href="/jobs/{job_id.replace(":", "%3A")}">{job_id}</a>' in with_jobs
    assert f'href="http://ui/{trace_id(1)}"' in with_jobs
    assert "/jobs/" not in without
