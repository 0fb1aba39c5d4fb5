"""The page of one job in a browser: why it waits, how far it is, what it died of, orders about it."""

import re

from playwright.sync_api import expect

from tests.monitor.browser.conftest import Login, faults_for_some
from tests.monitor.browser.system import System


def test_a_dead_job_says_what_it_died_of_and_is_run_again_by_a_key(login: Login, lab: System) -> None:
    job_id = lab.ask("fail")
    lab.reaches(job_id, "dead")
    page = login(f"/jobs/{job_id}")

    error = page.get_by_role("region", name="Error")
    expect(error).to_contain_text("Died of: ConnectionError")
    expect(error).to_contain_text("browser/system.py")
    steps = page.get_by_role("region", name="Timeline").locator(".title")
    expect(steps).to_have_text(
        [
            "Accepted",
            "Waited for a worker",
            "Attempt 1",
            "Waited for its retry",
            "Attempt 2",
            "Dead: exhausted",
        ]
    )
    lab.stage.is_mended = True
    page.keyboard.press("r")
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()

    expect(page.locator("#head .state")).to_have_text("succeeded")
    expect(page.locator(".former > summary")).to_have_text(
        "Before it was run again: 1 run, 2 failed attempts"
    )


def test_progress_moves_while_one_looks_and_a_key_cancels(login: Login, lab: System) -> None:
    job_id = lab.ask("slow")
    lab.reaches(job_id, "running")
    page = login(f"/jobs/{job_id}")
    bar = page.get_by_role("region", name="Progress").get_by_role("progressbar")

    lab.stage.done = 25
    expect(bar).to_have_js_property("value", 25)
    lab.stage.done = 75
    expect(page.get_by_role("region", name="Progress")).to_contain_text("75 % 75 of 100 · rows")
    page.keyboard.press("c")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()

    expect(page.locator("#head .state")).to_have_text("cancelled")
    expect(page.get_by_role("region", name="Progress")).to_be_hidden()


def test_a_job_of_a_paused_handler_says_why_it_waits(login: Login, lab: System) -> None:
    lab.client.patch(
        "/v1/handlers/tame.work", json={"paused": True, "note": "stocktaking"}
    ).raise_for_status()
    try:
        job_id = lab.ask("answer")
        lab.reaches(job_id, "queued")
        page = login(f"/jobs/{job_id}")

        why = page.get_by_role("region", name="Why it waits")
        expect(why).to_contain_text("The handler is paused.")
        expect(why).to_contain_text("stocktaking")
    finally:
        lab.client.patch("/v1/handlers/tame.work", json={"paused": False}).raise_for_status()

    expect(why).to_be_hidden()
    expect(page.locator("#head .state")).to_have_text("succeeded")


def test_what_came_of_a_job_and_what_it_was_about_is_there(login: Login, lab: System) -> None:
    job_id = lab.ask("answer")
    lab.reaches(job_id, "succeeded")
    page = login(f"/jobs/{job_id}")

    expect(page.get_by_role("region", name="What it led to")).to_contain_text("email.sent")
    expect(page.get_by_role("region", name="Payload")).to_contain_text('"to": "ada@example.com"')
    page.get_by_text("Show it").click()
    expect(page.locator("#curl")).to_contain_text('"Authorization: Bearer $TRUNKLINE_API_KEY"')
    expect(page.get_by_role("link", name="email.requested")).to_have_attribute(
        "href", re.compile("/events/" + job_id.partition(":")[2])
    )


def test_a_job_that_nobody_knows_is_said_to_be_none(login: Login) -> None:
    page = login("/jobs/tame.work:nobody")

    expect(page.locator("main")).to_contain_text("no job has the id tame.work:nobody")


def test_nothing_stands_in_the_way_of_anybody(login: Login, lab: System) -> None:
    job_id = lab.ask("fail")
    lab.reaches(job_id, "dead")
    for looks in ({}, {"dark": True}, {"phone": True}):
        page = login(f"/jobs/{job_id}", **looks)
        expect(page.get_by_role("region", name="Timeline")).to_be_visible()
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")

        assert faults_for_some(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
