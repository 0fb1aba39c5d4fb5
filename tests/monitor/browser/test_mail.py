"""The inbox in a browser: mails appear, are read and downloaded, and cannot touch the page around them."""

import re
import time
from itertools import count
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.monitor.browser.conftest import READER, Login, faults_for_some
from tests.monitor.browser.system import System
from tests.monitor.mails import hostile, keep, letter

_numbers = count()


def _send(lab: System, content: bytes) -> str:
    """The id of a mail that has just arrived."""
    name = f"{time.time_ns():020d}.Q{next(_numbers)}.tests"
    keep(lab.mail, name, content)
    return name


@pytest.fixture
def client(lab: System) -> httpx.Client:
    """Without a browser: what a browser is told."""
    return httpx.Client(base_url=lab.monitor, headers={"Authorization": f"Bearer {READER}"}, timeout=20)


def test_a_mail_appears_while_one_looks_and_is_found_by_its_subject(login: Login, lab: System) -> None:
    page = login("/mail")

    mail_id = _send(lab, letter(subject="A letter for <i>Ada</i>").as_bytes())

    expect(page.locator(f'[id="mails/{mail_id}"]')).to_contain_text("A letter for <i>Ada</i>", timeout=15_000)
    page.keyboard.press("/")
    page.keyboard.type("letter for")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/mail/{re.escape(mail_id)}$"))
    expect(page.get_by_role("link", name="Job", exact=True)).to_have_attribute(
        "href", "/jobs/email.send%3A0192f3a0-0000-7000-8000-000000000001"
    )


def test_html_is_shown_without_its_scripts_and_touches_nothing(login: Login, lab: System) -> None:
    mail_id = _send(lab, letter().as_bytes())
    page = login("/mail")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    blocked: dict[str, str | None] = {}
    page.on("requestfailed", lambda request: blocked.update({request.url: request.failure}))

    page.goto(f"/mail/{mail_id}")

    frame = page.frame_locator("iframe")
    expect(frame.locator("h1")).to_have_text("Hello")
    expect(frame.locator("img").first).to_have_js_property("naturalWidth", 1)
    expect(page).to_have_title(re.compile("Zażółć"))
    frame.get_by_role("button", name="Go").click()
    expect(page.locator("main")).to_contain_text("Plain: ąęść")
    assert blocked["http://tracker.example/pixel.png"] == "csp"
    assert not [url for url in asked if url.endswith("/logout")]


def test_an_attachment_is_a_download_under_its_own_name(login: Login, lab: System, tmp_path: Path) -> None:
    mail_id = _send(lab, letter().as_bytes())
    page = login(f"/mail/{mail_id}")

    with page.expect_download() as downloading:
        page.get_by_role("link", name="raport „2026”.pdf").click()

    downloading.value.save_as(tmp_path / "file")
    assert downloading.value.suggested_filename == "raport „2026”.pdf"
    assert (tmp_path / "file").read_bytes() == b"%PDF-1.4"


def test_what_a_mail_carries_has_a_policy_of_its_own(lab: System, client: httpx.Client) -> None:
    mail_id = _send(lab, letter().as_bytes())

    html, raw, part = (client.get(f"/mail/{mail_id}/{one}") for one in ("html", "raw", "parts/4"))

    for answer in (html, raw, part):
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none';")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script-src" not in html.headers["content-security-policy"]
    assert html.headers["content-type"] == "text/html; charset=utf-8"
    assert raw.headers["content-type"] == "text/plain; charset=utf-8"
    assert raw.content == letter_bytes(lab, mail_id)
    assert part.headers["content-disposition"].startswith("attachment;")
    assert part.headers["content-type"] == "application/octet-stream"


def letter_bytes(lab: System, mail_id: str) -> bytes:
    return (lab.mail / "new" / mail_id).read_bytes()


def test_no_hostile_mail_is_a_server_error(lab: System, client: httpx.Client) -> None:
    for name, content in hostile().items():
        mail_id = _send(lab, content)

        answers = [client.get(f"/mail/{mail_id}{part}") for part in ("", "/html", "/raw", "/parts/1")]

        assert answers[0].status_code == answers[2].status_code == 200, name
        assert {answer.status_code for answer in answers} <= {200, 404}, name
    assert client.get("/mail").status_code == 200


def test_tricks_with_paths_find_nothing(client: httpx.Client) -> None:
    numbers = ("0", "-1", "9" * 5_000)
    paths = (
        "..%2F..%2Fetc%2Fpasswd",
        "%2e%2e",
        ".hidden",
        "%00",
        "nobody",
        *(f"x/parts/{n}" for n in numbers),
    )

    for path in paths:
        assert client.get(f"/mail/{path}").status_code == 404, path


def test_nothing_stands_in_the_way_of_anybody(login: Login, lab: System) -> None:
    mail_id = _send(lab, letter().as_bytes())
    one = f"/mail/{mail_id}"
    for path, looks in (("/mail", {}), (one, {"dark": True}), (one, {"phone": True})):
        page = login(path, **looks)
        expect(page.locator("h1")).to_be_visible()

        assert faults_for_some(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
