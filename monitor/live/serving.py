"""Pages over HTTP: each as a whole document, and what changes in it as server-sent events below /live."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from monitor.door.guard import session_of
from monitor.door.key_ring import KeyRing, KeysUnknown
from monitor.door.sessions import Session
from monitor.drawing.fragments import Drawing
from monitor.drawing.layout import Layout
from monitor.live.feed import Beat, Feed, Patch, Told
from monitor.live.feeds import Feeds
from monitor.live.page import BadQuestion, Page, View
from shared.api import GatewayApi, Refusal, Unreachable

STREAMS_MOST: Final = 1_000
_CHECKED_EVERY_S: Final = 15.0

_encode = msgspec.json.Encoder().encode


class Serving:
    """Serves pages. `stop` ends all streams, so that the process can end."""

    def __init__(self, feeds: Feeds, api: GatewayApi, layout: Layout, ring: KeyRing) -> None:
        self._feeds = feeds
        self._api = api
        self._layout = layout
        self._ring = ring
        self._stopping = asyncio.Event()
        self._streams = 0

    def routes(self, pages: Sequence[Page]) -> list[Route]:
        """Two for each page."""
        return [
            route
            for page in pages
            for route in (
                Route(page.path, self._document(page), methods=["GET"]),
                Route(f"/live{page.path}", self._stream(page), methods=["GET"]),
            )
        ]

    def stop(self) -> None:
        """End all streams; browsers come back by themselves, to whoever answers then."""
        self._stopping.set()
        self._feeds.wake()

    def _document(self, page: Page):  # noqa: ANN202 -- an endpoint
        async def document(request: Request) -> Response:
            session = session_of(request)
            try:
                view = page.view(request)
                feed = await self._feed(view)
                drawing, version = await feed.first(session.key)
            except BadQuestion as bad:
                return self._layout.notice(session, 400, "This page cannot be shown", str(bad))
            except Unreachable as away:
                return self._layout.notice(session, 503, "The gateway does not answer", str(away), again=True)
            except Refusal as refusal:
                return self._refused(session, refusal)
            return self._page(page, session, drawing, stream=f"/live{view.url}", version=version)

        return document

    def _page(self, page: Page, session: Session, drawing: Drawing, *, stream: str, version: str) -> Response:
        return self._layout.page(session, drawing, place=page.place, stream=stream, version=version)

    def _refused(self, session: Session, refusal: Refusal) -> Response:
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            return RedirectResponse("/login", status_code=303)
        if refusal.status == HTTPStatus.NOT_FOUND:
            return self._layout.notice(session, 404, "Not here", refusal.detail or refusal.title)
        is_ours = refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR
        title = "This cannot be shown" if is_ours else "The gateway cannot tell now"
        return self._layout.notice(session, 400 if is_ours else 503, title, str(refusal), again=not is_ours)

    def _stream(self, page: Page):  # noqa: ANN202 -- an endpoint
        async def stream(request: Request) -> Response:
            try:
                view = page.view(request)
            except BadQuestion as bad:
                return PlainTextResponse(f"{bad}\n", status_code=400)
            if self._streams >= STREAMS_MOST:
                return PlainTextResponse("too many pages are open\n", 503, headers={"Retry-After": "5"})
            since = request.headers.get("last-event-id") or request.query_params.get("_since", "")
            told = self._events(await self._feed(view), session_of(request), since)
            # Without the last header a proxy such as nginx would collect the events before it passes them on.
            headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            return StreamingResponse(told, media_type="text/event-stream", headers=headers)

        return stream

    async def _feed(self, view: View) -> Feed:
        return await self._feeds.of(view.url, lambda key: view.draw(self._api.with_key(key)))

    async def _events(self, feed: Feed, session: Session, since: str) -> AsyncIterator[bytes]:
        """What the feed tells, until the monitor stops or the session ends."""
        self._streams += 1
        checked_at = time.monotonic()
        try:
            yield b"retry: 1000\n\n"
            async with aclosing(feed.follow(session.key, since=since, until=self._stopping)) as following:
                async for told in following:
                    yield _event(told)
                    if time.monotonic() - checked_at > _CHECKED_EVERY_S:
                        checked_at = time.monotonic()
                        if not await self._may_go_on(session):
                            yield b"event: ended\ndata: {}\n\n"
                            return
        finally:
            self._streams -= 1

    async def _may_go_on(self, session: Session) -> bool:
        """Whether the key is still one; where nobody can tell, what was true is believed."""
        if session.ends_at < time.time():
            return False
        try:
            holder = await self._ring.holder(session.key)
        except KeysUnknown:
            return True
        return holder is not None and holder.may_read


def _event(told: Told) -> bytes:
    if isinstance(told, Patch):
        return b"event: patch\nid: %b\ndata: %b\n\n" % (told.version.encode(), _encode(told.change))
    if isinstance(told, Beat):
        return b"event: beat\ndata: {}\n\n"
    return b"event: stale\ndata: %b\n\n" % _encode({"why": told.why})
