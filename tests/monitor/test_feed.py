"""A view that is drawn once for all who look, and what travels when it changes."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from monitor.drawing.fragments import Drawing, Pieces
from monitor.live.bell import Bell
from monitor.live.change import Change, change, whole
from monitor.live.feed import Beat, Feed, Patch, Stale, Told
from monitor.live.feeds import Feeds
from shared.api import Refusal, Unreachable
from tests.until import until


def drawing(title: str = "Jobs", **pieces: str) -> Drawing:
    return Drawing(title, "", pieces, {"jobs": sorted(pieces)})


class Board:
    """What there is to draw; counts how often it was drawn, and for whom."""

    def __init__(self) -> None:
        self.shown = drawing(a="1")
        self.fault: Exception | None = None
        self.revoked: set[str | None] = set()
        self.drawn = 0

    async def draw(self, key: str | None) -> Drawing:
        self.drawn += 1
        if key in self.revoked:
            raise Refusal(401, {"title": "wrong key"})
        if self.fault is not None:
            raise self.fault
        return self.shown


class Viewer:
    """Somebody who looks, and what was told."""

    def __init__(self, feed: Feed, since: str, key: str | None = None) -> None:
        self.told: list[Told] = []
        self._over = asyncio.Event()
        self._feed = feed
        self._task = asyncio.create_task(self._listen(feed, since, key))

    async def _listen(self, feed: Feed, since: str, key: str | None) -> None:
        async for told in feed.follow(key, since=since, until=self._over):
            self.told.append(told)

    @property
    def patches(self) -> list[Change]:
        return [told.change for told in self.told if isinstance(told, Patch)]

    async def is_told(self, kind: type[Told]) -> Told:
        async def heard() -> Told | None:
            return next((one for one in self.told if isinstance(one, kind)), None)

        return await until(heard, what=kind.__name__)

    async def leave(self) -> None:
        self._over.set()
        self._feed.wake()
        await self._task


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
async def feed(board: Board) -> AsyncGenerator[Feed]:
    feed = Feed(board.draw, Bell(None))
    yield feed
    await feed.stop()


def test_only_what_is_different_travels() -> None:
    before, after = drawing(a="1", b="1"), drawing(a="1", b="2", c="1")

    made = change(before, after)

    assert made == Change(set={"b": "2", "c": "1"}, rows={"jobs": ["a", "b", "c"]})
    assert not change(after, after)
    assert whole(after).set == after.pieces


def test_pieces_have_their_name_and_a_digest_of_what_they_show() -> None:
    pieces = Pieces()

    pieces.row("jobs", 'a"b', caller=lambda: '<tr class="x"><td>1</td></tr>')

    [html] = pieces.pieces.values()
    assert html.startswith('<tr id="jobs/a&#34;b" data-v="')
    assert html.endswith(' class="x"><td>1</td></tr>')
    assert pieces.rows == {"jobs": ['jobs/a"b']}
    with pytest.raises(ValueError, match="two pieces"):
        pieces.live('jobs/a"b', caller=lambda: "<p></p>")
    with pytest.raises(ValueError, match="does not begin with an element"):
        pieces.live("words", caller=lambda: "words")


async def test_a_change_reaches_who_looks(feed: Feed, board: Board) -> None:
    _, version = await feed.first(None)
    viewer = Viewer(feed, version)
    await viewer.is_told(Beat)

    board.shown = drawing(a="2")
    await viewer.is_told(Patch)

    assert viewer.patches == [Change(set={"a": "2"})]
    await viewer.leave()


async def test_all_who_look_share_one_drawing(feed: Feed, board: Board) -> None:
    _, version = await feed.first(None)
    viewers = [Viewer(feed, version, key=f"key-{number}") for number in range(20)]
    board.shown = drawing(a="2")

    for viewer in viewers:
        await viewer.is_told(Patch)

    assert board.drawn <= 3, "one for the page, one for the change, perhaps one in between"
    for viewer in viewers:
        await viewer.leave()


async def test_who_comes_back_gets_what_was_missed_and_a_stranger_all(feed: Feed, board: Board) -> None:
    _, version = await feed.first(None)
    first = Viewer(feed, version)
    board.shown = drawing(a="2")
    await first.is_told(Patch)
    await first.leave()

    back, stranger = Viewer(feed, version), Viewer(feed, "another.7")
    await back.is_told(Patch)
    await stranger.is_told(Patch)

    assert back.patches == [Change(set={"a": "2"})]
    assert stranger.patches == [whole(board.shown)]
    await back.leave()
    await stranger.leave()


async def test_a_view_that_cannot_be_drawn_is_stale_and_says_why(feed: Feed, board: Board) -> None:
    _, version = await feed.first(None)
    viewer = Viewer(feed, version)
    await viewer.is_told(Beat)

    board.fault = Unreachable("http://gateway", "refused")
    stale = await viewer.is_told(Stale)
    assert isinstance(stale, Stale)
    assert "refused" in stale.why
    board.fault, board.shown = None, drawing(a="3")

    await viewer.is_told(Patch)
    await viewer.leave()


async def test_a_revoked_key_does_not_blind_the_others(feed: Feed, board: Board) -> None:
    _, version = await feed.first("good")
    revoked, good = Viewer(feed, version, key="revoked"), Viewer(feed, version, key="good")
    board.revoked = {"revoked"}

    board.shown = drawing(a="2")
    await good.is_told(Patch)

    assert not any(isinstance(told, Stale) for told in good.told)
    await revoked.leave()
    await good.leave()


async def test_a_page_is_told_of_a_fault_at_once(feed: Feed, board: Board) -> None:
    board.fault = Refusal(404, {"detail": "no job"})

    with pytest.raises(Refusal):
        await feed.first(None)


async def test_nobody_looks_and_nothing_is_drawn(feed: Feed, board: Board) -> None:
    _, version = await feed.first(None)
    viewer = Viewer(feed, version)
    await viewer.is_told(Beat)
    await viewer.leave()
    drawn = board.drawn

    watched = Board()
    other = Feed(watched.draw, Bell(None))
    looking = Viewer(other, "")

    async def drawn_thrice() -> bool:
        return watched.drawn >= 3

    await until(drawn_thrice)  # the same clock has struck three times by now
    assert board.drawn <= drawn + 1
    await looking.leave()
    await other.stop()


async def test_a_view_is_found_by_its_address() -> None:
    feeds, board = Feeds(Bell(None)), Board()

    one, same, other = [await feeds.of(url, board.draw) for url in ("/jobs", "/jobs", "/jobs?q=x")]

    assert one is same
    assert one is not other
    await feeds.stop()
