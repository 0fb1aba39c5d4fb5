"""Dead letters in a browser: the failures, one failure's letters, replays with their dry run."""

import re

from playwright.sync_api import Page, expect

from tests.monitor.browser.conftest import Login, faults_for_some
from tests.monitor.browser.system import System, until


def _dead(lab: System) -> tuple[str, str]:
    """A job that died of the one failure that there is, and that failure's fingerprint."""
    job_id = lab.ask("fail")
    return job_id, lab.reaches(job_id, "dead")["fingerprint"]


def _row(page: Page, fingerprint: str):  # noqa: ANN202 -- a Locator
    return page.locator(f'[id="groups/{fingerprint}"]')


def test_what_died_of_the_same_is_one_row_and_counts_while_one_looks(login: Login, lab: System) -> None:
    first, fingerprint = _dead(lab)
    page = login("/dead?q=handler:tame.work")
    row = _row(page, fingerprint)
    expect(row).to_contain_text("ConnectionError in tame.work")
    expect(row).to_contain_text("the relay hung up")
    expect(row).to_contain_text("system.py")
    expect(row).to_contain_text("exhausted")
    jobs = row.locator('td[data-label="jobs"]')
    before = int(jobs.inner_text())

    second, same = _dead(lab)

    assert (first != second, same) == (True, fingerprint)
    expect(jobs).to_have_text(str(before + 1))


def test_a_failure_shows_its_newest_error_and_its_letters(login: Login, lab: System) -> None:
    job_id, fingerprint = _dead(lab)
    page = login("/dead?q=handler:tame.work")

    _row(page, fingerprint).get_by_role("link", name="ConnectionError", exact=True).click()

    expect(page).to_have_url(re.compile(rf"/dead/{fingerprint}\?"))
    expect(page.locator("pre[aria-label=Stack]")).to_contain_text("Traceback (most recent call last)")
    page.locator("summary").click()
    expect(page.locator("pre[aria-label=Event]")).to_contain_text('"subject": "fail"')
    expect(page.locator(f'[id="letters/{job_id}"]')).to_be_visible()


def test_a_filter_narrows_the_failures_and_what_is_replayed(login: Login, lab: System) -> None:
    job_id, fingerprint = _dead(lab)
    _dead(lab)
    page = login(f"/dead?q={job_id}")
    expect(_row(page, fingerprint).locator('td[data-label="jobs"]')).to_have_text("1")

    page.get_by_role("link", name="Replay all").click()
    expect(page.get_by_role("dialog")).to_contain_text("Replay 1 dead job?")
    page.keyboard.press("Escape")
    page.goto("/dead?q=no+such+error+anywhere")

    expect(page.locator("main")).to_contain_text("Nothing matches")


def test_a_failure_is_replayed_by_mouse_at_a_rate(login: Login, lab: System) -> None:
    job_id, fingerprint = _dead(lab)
    page = login("/dead?q=handler:tame.work")
    lab.stage.is_mended = True

    _row(page, fingerprint).get_by_role("link", name="Replay", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(re.compile(r"exhausted\s*\d+"))
    dialog.get_by_label("Jobs a second").fill("5000")
    expect(dialog.get_by_role("alert")).to_contain_text("0.001 to 1000")
    dialog.get_by_label("Jobs a second").fill("1000")
    expect(dialog.get_by_role("alert")).to_be_hidden()
    dialog.get_by_role("button", name="Replay").click()

    expect(page.locator("#toast")).to_contain_text("are run again, 1000 a second")
    lab.reaches(job_id, "succeeded")
    expect(_row(page, fingerprint)).to_have_class("gone")  # the hand is on it: it stays until that leaves
    expect(page.locator("#past")).to_contain_text("done")


def test_one_letter_is_replayed_by_keyboard(login: Login, lab: System) -> None:
    job_id, fingerprint = _dead(lab)
    page = login(f"/dead/{fingerprint}?q={job_id}")
    lab.stage.is_mended = True

    page.keyboard.press("j")
    page.keyboard.press("r")
    expect(page.get_by_role("dialog").get_by_role("button", name="Retry")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.locator("#toast")).to_contain_text("queued")
    lab.reaches(job_id, "succeeded")


def test_a_replay_shows_how_far_it_is_and_can_be_cancelled(login: Login, lab: System) -> None:
    for _ in range(3):
        _dead(lab)
    ordered = {"filter": {"handler": "tame.work"}, "rate": 0.1}
    replay = lab.client.post("/v1/dead/replay", json=ordered).json()["id"]
    page = login("/dead")
    expect(page.locator("#running progress")).to_have_js_property("value", 1)

    page.keyboard.press("c")
    page.get_by_role("dialog").get_by_role("button", name="Cancel the replay").click()

    expect(page.locator("#toast")).to_contain_text("The replay is cancelled")
    expect(page.locator("#running progress")).to_have_count(0)
    assert until(
        lambda: lab.client.get(f"/v1/dead/replays/{replay}").json()["status"] == "cancelled", "cancelled"
    )


def test_addresses_that_are_none_say_so(login: Login, lab: System) -> None:
    del lab
    page = login("/dead/no-fingerprint")
    expect(page.locator("main")).to_contain_text("16 hexadecimal digits")
    page.goto("/dead/0123456789abcdef")

    expect(page.locator("main")).to_contain_text("Nothing is dead here")


def test_nothing_stands_in_the_way_of_anybody(login: Login, lab: System) -> None:
    _, fingerprint = _dead(lab)
    for path, looks in (("/dead", {}), (f"/dead/{fingerprint}", {"dark": True}), ("/dead", {"phone": True})):
        page = login(path, **looks)
        expect(page.locator("tbody tr").first).to_be_visible()

        assert faults_for_some(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
