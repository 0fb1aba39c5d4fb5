"""The overview in a browser: from all is well to what is stuck, and back."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.monitor.browser.conftest import Login, faults_for_some
from tests.monitor.browser.system import System

WORK = "/v1/handlers/tame.work"


@pytest.fixture
def paused(lab: System) -> Iterator[None]:
    lab.client.patch(WORK, json={"paused": True, "note": "the relay is being moved"}).raise_for_status()
    yield
    lab.client.patch(WORK, json={"paused": False}).raise_for_status()


@pytest.mark.usefixtures("paused")
def test_work_that_is_stuck_is_named_with_its_cause_until_it_goes_on(login: Login, lab: System) -> None:
    page = login("/")
    stuck = page.locator("#stuck")

    job_id = lab.ask("answer")
    expect(stuck).to_contain_text("tame.work: 1 waits")
    expect(stuck).to_contain_text("paused: the relay is being moved")
    expect(page).to_have_title(re.compile(r"warning|fault"))
    expect(page.get_by_role("link", name="Stalled handlers")).to_contain_text("1")
    assert faults_for_some(page) == []
    lab.client.patch(WORK, json={"paused": False})
    lab.reaches(job_id, "succeeded")

    expect(stuck.locator("li", has_text="tame.work")).to_have_count(0)


def test_tiles_lead_on_and_the_charts_say_what_they_show(login: Login, lab: System) -> None:
    lab.reaches(lab.ask("fail"), "dead")
    page = login("/")

    expect(page.locator('[id="failing/tame.work"]')).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Attempts ended a minute.*succeeded"))).to_be_visible()
    page.get_by_role("link", name="Dead in the last hour").click()

    expect(page).to_have_url(re.compile("/dead$"))


def test_on_a_phone_and_in_the_dark_it_reads_as_well(login: Login) -> None:
    page = login("/", phone=True, dark=True)

    expect(page.locator(".tile")).to_have_count(8)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert faults_for_some(page) == []
