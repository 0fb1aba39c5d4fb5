"""All views that are looked at: a page and its question in, the one feed of both out."""

from typing import Final

from monitor.live.bell import Bell
from monitor.live.feed import Draw, Feed

MOST: Final = 200
"""Views at a time; above it those that nobody looks at go first, and then a page is drawn for one alone."""


class Feeds:
    """Keeps a feed for as long as somebody looks at it, and a little longer."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._feeds: dict[str, Feed] = {}

    async def of(self, view: str, draw: Draw) -> Feed:
        """The feed of the view, which a canonical URL names."""
        feed = self._feeds.get(view)
        if feed is None:
            await self._tidy()
            feed = Feed(draw, self._bell)
            if len(self._feeds) < MOST:
                self._feeds[view] = feed
        return feed

    def ring(self) -> None:
        """Draw again what is looked at: an order was carried out."""
        self._bell.ring()

    def wake(self) -> None:
        """Let everybody who follows look whether to go on."""
        for feed in self._feeds.values():
            feed.wake()

    async def stop(self) -> None:
        """End all of them."""
        for feed in self._feeds.values():
            await feed.stop()
        self._feeds.clear()

    async def _tidy(self) -> None:
        for view in [view for view, feed in self._feeds.items() if feed.is_idle]:
            await self._feeds.pop(view).stop()
