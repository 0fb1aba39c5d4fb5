"""The list of jobs in a browser: filters, what changes by itself, orders about one and many."""

import re

from playwright.sync_api import expect

from tests.monitor.browser.conftest import READER, Login, faults_for_some
from tests.monitor.browser.system import System


def test_a_job_appears_and_its_state_changes_while_one_looks(login: Login, lab: System) -> None:
    page = login("/jobs?q=handler:tame.work")

    job_id = lab.ask("slow")
    row = page.locator(f'[id="jobs/{job_id}"]')
    expect(row.locator(".state")).to_have_text("running")
    lab.stage.released.set()

    expect(row.locator(".state")).to_have_text("succeeded")
    expect(page.locator("#state")).to_have_text(re.compile("Live"))


def test_progress_is_seen_to_move(login: Login, lab: System) -> None:
    job_id = lab.ask("slow")
    lab.reaches(job_id, "running")
    page = login("/jobs?state=running")
    bar = page.locator(f'[id="jobs/{job_id}"] progress')

    lab.stage.done = 30
    expect(bar).to_have_js_property("value", 30)
    lab.stage.done = 60

    expect(bar).to_have_js_property("value", 60)


def test_a_filter_is_an_address_and_its_parts_can_be_taken_away(login: Login, lab: System) -> None:
    lab.reaches(lab.ask("answer"), "succeeded")
    page = login("/jobs")

    page.keyboard.press("/")
    page.keyboard.type("handler:tame.work since:1h")
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_text([re.compile("handler:tame.work"), re.compile("since:1h")])
    expect(page.locator("tbody tr").first).to_contain_text("tame.work")
    page.get_by_role("link", name="Without since:1h").click()

    expect(page).to_have_url(re.compile(r"/jobs\?q=handler%3Atame\.work$"))
    expect(page.locator(".chip")).to_have_count(1)


def test_a_dead_job_is_run_again_by_mouse(login: Login, lab: System) -> None:
    job_id = lab.ask("fail")
    lab.reaches(job_id, "dead")
    page = login("/jobs?state=dead")
    row = page.locator(f'[id="jobs/{job_id}"]')
    expect(row).to_contain_text("ConnectionError: the relay hung up")

    lab.stage.is_mended = True
    row.get_by_role("link", name="Retry").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()

    expect(page.locator("#toast")).to_contain_text("queued")
    assert lab.reaches(job_id, "succeeded")["attempt"] == 1


def test_a_dead_job_is_run_again_by_keyboard(login: Login, lab: System) -> None:
    job_id = lab.ask("fail")
    lab.reaches(job_id, "dead")
    page = login(f"/jobs?q={job_id}")
    lab.stage.is_mended = True

    page.keyboard.press("j")
    page.keyboard.press("r")
    expect(page.get_by_role("dialog").get_by_role("button", name="Retry")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.locator("#toast")).to_contain_text("queued")
    lab.reaches(job_id, "succeeded")


def test_rows_stay_in_place_while_a_hand_is_on_them(login: Login, lab: System) -> None:
    first = lab.ask("answer")
    lab.reaches(first, "succeeded")
    page = login("/jobs?q=handler:tame.work")
    row = page.locator(f'[id="jobs/{first}"]')
    row.locator("input").check()
    place = row.bounding_box()

    second = lab.ask("answer")

    expect(page.locator("[data-news]")).to_have_text(re.compile("1 new"))
    assert row.bounding_box() == place
    page.keyboard.press("u")
    expect(page.locator(f'[id="jobs/{second}"]')).to_be_visible()


def test_many_are_cancelled_after_a_dry_run(login: Login, lab: System) -> None:
    ids = [lab.ask("slow") for _ in range(3)]
    for one in ids:
        lab.reaches(one, "running")
    page = login("/jobs?state=running&q=handler:tame.work")

    page.get_by_role("link", name="Cancel all matching").click()
    expect(page.get_by_role("dialog")).to_contain_text("Cancel 3 jobs?")
    page.get_by_role("dialog").get_by_role("button", name="Cancel 3 jobs").click()

    expect(page.locator("#toast")).to_contain_text("3 jobs cancelled")
    for one in ids:
        lab.reaches(one, "cancelled")


def test_a_reader_is_offered_no_orders_and_the_gateway_refuses_them(login: Login, lab: System) -> None:
    job_id = lab.ask("fail")
    lab.reaches(job_id, "dead")
    page = login(f"/jobs?q={job_id}", key=READER)
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("link", name="Retry", exact=True)).to_have_count(0)

    page.goto(f"/jobs/{job_id}/retry")
    page.get_by_role("button", name="Retry").click()

    expect(page.locator("main")).to_contain_text("this needs the scope operate")
    assert lab.job(job_id)["state"] == "dead"


def test_a_pause_holds_the_page_and_going_on_brings_it_up_to_date(login: Login, lab: System) -> None:
    page = login("/jobs?q=handler:tame.work")
    page.keyboard.press("p")
    expect(page.locator("#state")).to_contain_text("Paused")

    job_id = lab.ask("answer")
    lab.reaches(job_id, "succeeded")
    expect(page.locator(f'[id="jobs/{job_id}"]')).to_have_count(0)
    page.keyboard.press("p")

    expect(page.locator(f'[id="jobs/{job_id}"]')).to_be_visible()


def test_nothing_stands_in_the_way_of_anybody(login: Login, lab: System) -> None:
    job_id = lab.ask("fail")
    lab.reaches(job_id, "dead")
    for looks in ({}, {"dark": True}, {"phone": True}):
        page = login("/jobs", **looks)
        expect(page.locator("tbody tr").first).to_be_visible()

        assert faults_for_some(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_one_failure_is_run_again_from_the_list_of_its_jobs(login: Login, lab: System) -> None:
    job_id = lab.ask("fail")
    fingerprint = lab.reaches(job_id, "dead")["fingerprint"]
    page = login(f"/jobs?state=dead&q=fingerprint:{fingerprint}")
    lab.stage.is_mended = True

    page.get_by_role("link", name="Retry all matching").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()

    expect(page.locator("#toast")).to_contain_text("queued again")
    lab.reaches(job_id, "succeeded")
