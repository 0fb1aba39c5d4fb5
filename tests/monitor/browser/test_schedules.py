"""Schedules in a browser: their ticks, orders about them, and the preview of what is typed."""

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.monitor.browser.conftest import Login, faults_for_some
from tests.monitor.browser.system import System


@pytest.fixture
def schedule(lab: System) -> Iterator[str]:
    """One that fires on New Year's Day, and is gone after the test."""
    name = f"s{uuid4().hex[:8]}"
    wanted = {
        "name": name,
        "cron": "30 2 1 1 *",
        "timezone": "Europe/Warsaw",
        "type": "email.requested",
        "data": {"email_id": "stock-{tick}", "to": "ada@example.com", "subject": "answer", "text": "Count."},
    }
    lab.client.post("/v1/schedules", json=wanted).raise_for_status()
    yield name
    lab.client.delete(f"/v1/schedules/{name}", headers={"If-Match": "*"})


def _order(page: Page, name: str) -> None:
    page.locator("main").get_by_role("link", name=name, exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=name).click()


def _row(page: Page, name: str):  # noqa: ANN202 -- a Locator
    return page.locator(f'[id="schedules/{name}"]')


def test_a_run_by_hand_becomes_a_tick_in_the_list_and_in_the_ledger(
    login: Login, lab: System, schedule: str
) -> None:
    page = login("/schedules")
    row = _row(page, schedule)
    expect(row).to_contain_text("Europe/Warsaw")
    expect(row).to_contain_text("30 2 1 1 *")
    expect(row).to_contain_text("no tick yet")

    row.get_by_role("link", name="Run now").click()
    page.get_by_role("dialog").get_by_role("button", name="Run now").click()

    expect(page.locator("#toast")).to_contain_text(f"{schedule} was run: email.requested")
    expect(row).to_contain_text("fired by hand")
    expect(row.locator("svg")).to_have_attribute("aria-label", "1 ticks: 1 by hand")
    expect(row.locator(".state").nth(1)).to_have_text("succeeded")
    page.goto(f"/schedules/{schedule}")
    expect(page.locator("tbody tr")).to_contain_text(["by hand"])
    [tick] = lab.client.get(f"/v1/schedules/{schedule}/ticks").json()["items"]
    expect(page.get_by_role("link", name=tick["event_id"])).to_be_visible()


def test_it_is_paused_with_a_note_and_resumed(login: Login, lab: System, schedule: str) -> None:
    page = login(f"/schedules/{schedule}")

    page.locator("main").get_by_role("link", name="Pause", exact=True).click()
    note = page.get_by_role("dialog").get_by_label("Why")
    expect(note).to_be_focused()
    note.fill("the warehouse <b>moves</b>")
    page.keyboard.press("Enter")
    expect(page.locator("#definition")).to_contain_text("the warehouse <b>moves</b>")
    assert lab.client.get(f"/v1/schedules/{schedule}").json()["status"] == "paused"
    _order(page, "Resume")

    expect(page.locator("#definition .state")).to_have_text("active")


def test_what_is_typed_is_previewed_and_what_is_wrong_is_said(
    login: Login, lab: System, schedule: str
) -> None:
    page = login(f"/schedules/{schedule}")
    page.locator("main").get_by_role("link", name="Edit").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Cron expression")).to_be_focused()
    expect(dialog.locator(".sample li")).to_have_count(5)

    dialog.get_by_label("Cron expression").fill("30 25 * *")
    expect(dialog.get_by_role("alert")).to_contain_text("cron: has 4 fields")
    dialog.get_by_label("Cron expression").fill("0 9 * * MON")
    expect(dialog.locator(".preview")).to_contain_text("At 09:00 on Monday, Europe/Warsaw")
    expect(dialog.locator(".sample li").first).to_contain_text(
        re.compile(r"Mon .* 09:00:00 \+0[12]:00 · .* UTC")
    )
    expect(dialog.get_by_role("alert")).to_be_hidden()
    dialog.get_by_role("button", name="Save").click()

    expect(page.locator("#definition h2")).to_have_text("At 09:00 on Monday, Europe/Warsaw")
    assert lab.client.get(f"/v1/schedules/{schedule}").json()["cron"] == "0 9 * * MON"


def test_an_edit_does_not_write_over_what_somebody_else_has_saved(
    login: Login, lab: System, schedule: str
) -> None:
    page = login(f"/schedules/{schedule}")
    page.locator("main").get_by_role("link", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Jitter").fill("5m")
    expect(dialog.locator(".sample li").first).to_contain_text("with jitter")

    answer = lab.client.patch(
        f"/v1/schedules/{schedule}", json={"misfire": "skip"}, headers={"If-Match": "*"}
    )
    answer.raise_for_status()
    dialog.get_by_role("button", name="Save").click()

    expect(dialog.get_by_role("alert")).to_contain_text("somebody has edited")
    assert lab.client.get(f"/v1/schedules/{schedule}").json()["jitter"] == 0


def test_one_is_added_and_removed(login: Login, lab: System) -> None:
    name = f"s{uuid4().hex[:8]}"
    page = login("/schedules")

    page.get_by_role("link", name="Add a schedule").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Cron expression").fill("")
    dialog.get_by_label("Or every").fill("12h")
    dialog.get_by_label("Event type").fill("cron.cleanup")
    expect(dialog.locator(".preview")).to_contain_text("Every 12 hours")
    dialog.get_by_role("button", name="Add").click()

    page.wait_for_url(f"**/schedules/{name}")
    assert lab.client.get(f"/v1/schedules/{name}").json()["every"] == 12 * 3600
    _order(page, "Remove")
    page.wait_for_url("**/schedules")
    expect(_row(page, name)).to_have_count(0)
    assert lab.client.get(f"/v1/schedules/{name}").status_code == 404


def test_a_schedule_that_is_not_there_says_so(login: Login) -> None:
    page = login("/schedules/nobody")

    expect(page.locator("main")).to_contain_text("no schedule has this name")


def test_nothing_stands_in_the_way_of_anybody(login: Login, lab: System, schedule: str) -> None:
    lab.client.post(f"/v1/schedules/{schedule}/run").raise_for_status()
    one = f"/schedules/{schedule}"
    for path, looks in (
        ("/schedules", {}),
        (one, {"dark": True}),
        (one, {"phone": True}),
        (f"{one}/edit", {}),
    ):
        page = login(path, **looks)
        expect(page.locator("h1, h2").first).to_be_visible()

        assert faults_for_some(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
