"""Who is let in, in a browser: by a key, not by a wrong one, and not for longer than the key is one."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.monitor.browser.conftest import faults_for_some
from tests.monitor.browser.system import OPERATOR, System


@pytest.fixture
def stranger(browser: Browser, lab: System) -> Iterator[Page]:
    """A browser that nobody has logged in with."""
    context = browser.new_context(base_url=lab.monitor)
    yield context.new_page()
    context.close()


def test_a_key_lets_in_and_leads_to_where_one_wanted_to_go(stranger: Page) -> None:
    stranger.goto("/jobs?state=dead")
    expect(stranger).to_have_url(re.compile(r"/login\?next="))
    assert faults_for_some(stranger) == []

    stranger.get_by_label("API key").fill("guess")
    stranger.get_by_role("button", name="Log in").click()
    expect(stranger.get_by_role("alert")).to_have_text("This API key is not known.")
    stranger.get_by_label("API key").fill(OPERATOR)
    stranger.get_by_role("button", name="Log in").click()

    expect(stranger).to_have_url(re.compile(r"/jobs\?state=dead$"))
    stranger.get_by_role("button", name="Log out").click()
    expect(stranger).to_have_url(re.compile("/login$"))
    stranger.goto("/jobs")
    expect(stranger).to_have_url(re.compile("/login"))


def test_a_key_that_was_made_later_lets_in_until_it_is_revoked(stranger: Page, lab: System) -> None:
    made = lab.client.post("/v1/keys", json={"name": "guest", "scopes": ["read"]}).json()
    stranger.goto("/jobs")
    stranger.get_by_label("API key").fill(made["key"])
    stranger.get_by_role("button", name="Log in").click()
    expect(stranger.get_by_role("heading", name="Jobs")).to_be_visible()

    assert lab.client.delete(f"/v1/keys/{made['id']}").status_code == 204

    expect(stranger).to_have_url(re.compile("/login"), timeout=60_000)
