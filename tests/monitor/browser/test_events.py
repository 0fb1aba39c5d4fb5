"""Events in a browser: the list of them, and the tree of one."""

import re

from playwright.sync_api import expect

from tests.monitor.browser.conftest import Login, faults_for_some
from tests.monitor.browser.system import System


def test_an_event_appears_in_the_list_and_opens_by_keyboard(login: Login, lab: System) -> None:
    page = login("/events?q=type:email.requested")
    event_id = lab.ask("answer").partition(":")[2]

    row = page.locator(f'[id="events/{event_id}"]')
    expect(row).to_contain_text("/tests")
    expect(row.locator(".state")).to_have_text("settled")
    page.keyboard.press("j")
    expect(row).to_have_class(re.compile("at"))
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(f"/events/{event_id}$"))


def test_an_event_is_found_by_its_id_and_by_its_type(login: Login, lab: System) -> None:
    event_id = lab.ask("answer").partition(":")[2]
    page = login("/events")

    page.keyboard.press("/")
    page.keyboard.type(event_id)
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("[data-filter]").fill("email.requested")
    page.keyboard.press("Enter")

    expect(page.locator(".chip")).to_have_text([re.compile("type:email.requested")])


def test_the_tree_shows_what_came_of_an_event_as_it_happens(login: Login, lab: System) -> None:
    job_id = lab.ask("slow")
    lab.reaches(job_id, "running")
    page = login(f"/events/{job_id.partition(':')[2]}")
    tree = page.get_by_role("region", name="What came of it")
    expect(tree).to_contain_text("Still open: 1 running of 1 job")
    expect(tree.locator(".asked")).to_contain_text("email.requested")

    lab.stage.released.set()

    expect(tree).to_contain_text("All 1 job has ended")
    expect(page.locator("#head .state")).to_have_text("done")


def test_what_a_job_caused_stands_in_the_tree_of_either_event(login: Login, lab: System) -> None:
    job = lab.reaches(lab.ask("answer"), "succeeded")
    caused = job["caused"][0]["id"]
    lab.reaches(f"tame.note:{caused}", "succeeded")
    page = login(f"/events/{caused}")
    tree = page.get_by_role("region", name="What came of it")

    expect(tree.locator("ul ul .asked")).to_contain_text("email.sent")
    tree.get_by_role("link", name="email.requested").click()

    expect(page.locator("h1")).to_contain_text("email.requested")
    expect(tree.get_by_role("link", name="tame.note")).to_be_visible()


def test_nothing_stands_in_the_way_of_anybody(login: Login, lab: System) -> None:
    job = lab.reaches(lab.ask("answer"), "succeeded")
    for path in ("/events", f"/events/{job['event_id']}"):
        for looks in ({}, {"dark": True, "phone": True}):
            page = login(path, **looks)
            expect(page.locator("main").get_by_role("link", name="email.requested").first).to_be_visible()
            page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")

            assert faults_for_some(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
