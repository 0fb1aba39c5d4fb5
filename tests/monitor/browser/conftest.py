"""A real browser before a real, small system. Where none is installed these tests are skipped, and say so."""

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import httpx
import nats
import pytest
from axe_playwright_python.sync_playwright import Axe
from nats.js.errors import NotFoundError
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from redis.asyncio import Redis

from monitor.door.sessions import COOKIE
from tests.conftest import Servers, own_database
from tests.monitor.browser.system import OPERATOR, READER, System, system, until

SCREENSHOTS = Path(__file__).parent / "screenshots"
"""What the pages looked like in the last run; git ignores it."""

Login = Callable[..., Page]


def _chromium() -> str | None:
    given = os.environ.get("TRUNKLINE_TEST_BROWSER")
    names = (given,) if given else ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's chromium, or what TRUNKLINE_TEST_BROWSER names.

    For this folder alone: while Playwright's plain API is open, no other test can run a loop in its thread.
    """
    program = _chromium()
    if program is None:
        pytest.skip("no browser: install chromium, or name one in TRUNKLINE_TEST_BROWSER")
    expect.set_options(timeout=20_000)  # a busy machine is no defect
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def lab(
    browser: Browser, servers: Servers, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """The system, shared by all tests in this folder: they run in one process, one after the other."""
    del browser  # without one there is no need of a system

    async def empty() -> None:
        async with Redis.from_url(servers.redis.url) as redis:
            await redis.flushall()
        connection = await nats.connect(servers.nats.url)
        try:
            await connection.jetstream().delete_stream("EVENTS")
        except NotFoundError:
            pass
        finally:
            await connection.close()

    servers.background.run(empty())
    with (
        own_database(servers, migrated) as database_url,
        system(
            tmp_path_factory.mktemp("system"),
            redis_url=servers.redis.url,
            nats_url=servers.nats.url,
            database_url=database_url,
        ) as started,
    ):
        yield started


@pytest.fixture(autouse=True)
def tame(lab: System) -> Iterator[None]:
    """Each test finds the handlers as they were, and leaves no job at work."""
    lab.stage.is_mended = False
    lab.stage.done = 0
    lab.stage.released.clear()
    yield
    lab.stage.released.set()
    until(lambda: lab.client.get("/v1/handlers/tame.work").json()["running"] == 0, "nothing runs")


@pytest.fixture
def login(browser: Browser, lab: System, request: pytest.FixtureRequest) -> Generator[Login]:
    """Open a page as the holder of a key: `login("/jobs")`, `login("/jobs", key=READER, phone=True)`.

    A fault that the page's own script meets fails the test.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def open_page(path: str, *, key: str = OPERATOR, phone: bool = False, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1360, "height": 850},
            color_scheme="dark" if dark else "light",
            base_url=lab.monitor,
        )
        contexts.append(context)
        context.add_cookies([{"name": COOKIE, "value": _cookie(lab, key), "url": lab.monitor}])
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    SCREENSHOTS.mkdir(exist_ok=True)
    for number, context in enumerate(contexts):
        for page in context.pages:
            page.screenshot(path=SCREENSHOTS / f"{request.node.name}-{number}.png")
        context.close()
    assert faults == []


_cookies: dict[tuple[str, str], str] = {}


def _cookie(lab: System, key: str) -> str:
    if (lab.monitor, key) not in _cookies:
        answer = httpx.post(f"{lab.monitor}/login", data={"key": key})
        _cookies[lab.monitor, key] = answer.cookies[COOKIE]
    return _cookies[lab.monitor, key]


def faults_for_some(page: Page) -> list[str]:
    """What axe-core finds wrong with the page for those who cannot see or point well (WCAG 2.2 A and AA)."""
    options = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


__all__ = ["OPERATOR", "READER", "Login", "faults_for_some"]
