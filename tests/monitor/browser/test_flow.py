"""The flow in a browser: a graph, on a phone a list, with what waits between."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.monitor.browser.conftest import Login, faults_for_some
from tests.monitor.browser.system import System

WORK = "/v1/handlers/tame.work"


@pytest.fixture
def paused(lab: System) -> Iterator[None]:
    lab.client.patch(WORK, json={"paused": True}).raise_for_status()
    yield
    lab.client.patch(WORK, json={"paused": False}).raise_for_status()


@pytest.mark.usefixtures("paused")
def test_what_waits_stands_at_its_edge_until_it_is_done(login: Login, lab: System) -> None:
    page = login("/flow")
    work = page.locator("#graph a", has_text="tame.work")

    job_id = lab.ask("answer")
    expect(work.locator(".lag")).to_have_text("paused 1")
    assert faults_for_some(page) == []
    lab.client.patch(WORK, json={"paused": False})
    lab.reaches(job_id, "succeeded")

    expect(work.locator(".lag")).to_have_count(0)


def test_nodes_lead_to_what_they_name(login: Login) -> None:
    page = login("/flow")

    page.locator("#graph a", has_text="email.sent").click()
    expect(page).to_have_url(re.compile("/events.q=type%3Aemail.sent"))
    page.go_back()
    page.locator("#graph a", has_text="tame.note").focus()
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile("/handlers/tame.note$"))


def test_on_a_phone_it_is_a_list_of_the_same(login: Login) -> None:
    page = login("/flow", phone=True)

    expect(page.locator("#graph svg").first).not_to_be_visible()
    sent = page.locator("#list > li", has=page.get_by_role("heading", name="email.sent"))
    expect(sent).to_contain_text("from tame")
    expect(sent).to_contain_text("tame.note")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert faults_for_some(page) == []
