"""Workers in a browser."""

import re

from playwright.sync_api import expect

from tests.monitor.browser.conftest import Login, faults_for_some
from tests.monitor.browser.system import System


def test_a_worker_shows_what_it_holds_while_it_holds_it(login: Login, lab: System) -> None:
    page = login("/workers")
    row = page.locator("tr", has_text="tame-")
    expect(row).to_contain_text(re.compile("lease|in "))

    job_id = lab.ask("slow")
    link = row.locator(f'.held a[href$="{job_id.replace(":", "%3A")}"]')
    expect(link).to_have_text("tame.work")
    expect(row.get_by_role("progressbar")).to_have_js_property("value", 1)
    assert faults_for_some(page) == []
    lab.stage.released.set()

    expect(link).to_have_count(0)
    expect(row.get_by_role("progressbar")).to_have_js_property("value", 0)


def test_on_a_phone_workers_are_cards(login: Login) -> None:
    page = login("/workers", phone=True, dark=True)

    expect(page.locator("tr", has_text="tame-")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert faults_for_some(page) == []
