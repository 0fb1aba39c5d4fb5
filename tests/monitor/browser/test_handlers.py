"""Handlers in a browser: how they stand, and orders about them by mouse and by keyboard."""

import re

from playwright.sync_api import Page, expect

from tests.monitor.browser.conftest import READER, Login, faults_for_some
from tests.monitor.browser.system import System

WORK = "/v1/handlers/tame.work"


def row_of(page: Page):  # noqa: ANN201 -- Playwright's Locator
    return page.locator('[id="handlers/tame.work"]')


def test_a_row_tells_what_runs_and_follows_it(login: Login, lab: System) -> None:
    page = login("/handlers")
    running = row_of(page).locator('[data-label="running"] a')

    job_id = lab.ask("slow")
    expect(running).to_have_text("1")
    lab.stage.released.set()
    lab.reaches(job_id, "succeeded")

    expect(running).to_have_count(0)
    expect(page.locator('[id="handlers/service:tame"]')).to_contain_text("1 worker")
    assert faults_for_some(page) == []


def test_a_handler_is_paused_with_a_note_and_resumed_by_mouse(login: Login, lab: System) -> None:
    page = login("/handlers")
    row = row_of(page)

    row.get_by_role("link", name="Pause").click()
    page.get_by_label("Why").fill("the relay is being moved")
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("the relay is being moved")
    assert lab.client.get(WORK).json()["paused"]
    row.get_by_role("link", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()

    expect(row.get_by_role("link", name="Pause")).to_be_visible()
    assert not lab.client.get(WORK).json()["paused"]


def test_limits_are_set_and_given_back_to_the_code_by_keyboard(login: Login, lab: System) -> None:
    page = login("/handlers/tame.work")

    page.get_by_role("link", name="Limits").focus()
    page.keyboard.press("Enter")
    page.get_by_label("all workers together").first.fill("3")
    page.get_by_label("Starts in a second").fill("2.5")
    page.keyboard.press("Enter")
    expect(page.locator("#policy")).to_contain_text(re.compile(r"3 at a time.*2\.5 starts/s"))
    page.get_by_role("link", name="Limits").focus()
    page.keyboard.press("Enter")
    page.get_by_label("all workers together").first.fill("")
    page.get_by_label("Starts in a second").fill("")
    page.keyboard.press("Enter")

    expect(page.locator("#policy")).not_to_contain_text("set by hand")
    handler = lab.client.get(WORK).json()
    assert (handler["concurrency"], handler["rate"]) == (None, None)


def test_the_page_of_a_handler_shows_its_last_failures(login: Login, lab: System) -> None:
    job_id = lab.ask("fail")
    lab.reaches(job_id, "dead")

    page = login("/handlers/tame.work")

    failure = page.locator(f'[id="failures/{job_id}"]')
    expect(failure).to_contain_text("the relay hung up")
    expect(page.get_by_role("img", name=re.compile("Attempts ended a minute"))).to_be_visible()
    assert faults_for_some(page) == []


def test_a_handler_that_nobody_announced_is_not_here(login: Login) -> None:
    page = login("/handlers/tame.nothing")

    expect(page.locator("main")).to_contain_text("no handler is named tame.nothing")


def test_on_a_phone_rows_are_cards_and_a_reader_gets_no_orders(login: Login) -> None:
    page = login("/handlers", key=READER, phone=True)

    expect(row_of(page)).to_be_visible()
    expect(page.get_by_role("link", name="Pause")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert faults_for_some(page) == []
