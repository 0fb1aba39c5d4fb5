"""`Prefer: wait=N` on what is accepted: a route's answer in, the same with its jobs as they are then out.

It stands outside the commit of a request with an Idempotency-Key: a job that nobody has committed never ends.
"""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from gateway.door.waiting import preferred_wait, until_final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.parts import Parts

_ACCEPTED: Final = (201, 202)
_MOST_JOBS: Final = 100
"""For so many jobs an answer waits; who has more looks for them."""


class PreferWait:
    """Wraps an app: a POST that prefers to wait is answered when its jobs are final, or the wait is over."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one connection."""
        limit = _wait_of(scope)
        if limit is None:
            await self._app(scope, receive, send)
            return
        messages: list[Message] = []

        async def keep(message: "Message") -> None:
            messages.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                # Here, not when the app has returned: BackgroundTasks come after the answer.
                for one in await _as_it_is_then(messages, scope["app"].state.parts, limit):
                    await send(one)

        await self._app(scope, receive, keep)


def _wait_of(scope: "Scope") -> timedelta | None:
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    preferences = [value.decode("latin-1") for name, value in scope["headers"] if name == b"prefer"]
    return preferred_wait(preferences) if preferences else None


async def _as_it_is_then(messages: "list[Message]", parts: "Parts", limit: timedelta) -> "list[Message]":
    """The answer with the states of its jobs when they have ended; any other answer as it is."""
    start, body = messages[0], b"".join(message.get("body", b"") for message in messages[1:])
    links = _links(start, body)
    if not links:
        return messages
    document, found = links
    # What was accepted is committed: whatever fails in the wait, Redis away above all, must not hide that.
    jobs = await asyncio.gather(
        *(until_final(parts.jobs, parts.live, link["id"], limit) for link in found),
        return_exceptions=True,
    )
    for link, job in zip(found, jobs, strict=True):
        if isinstance(job, dict):
            link["state"] = job["state"]
    answer = msgspec.json.encode(document)
    headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    headers += [
        (b"content-length", str(len(answer)).encode()),
        (b"preference-applied", f"wait={limit.total_seconds():.0f}".encode()),
    ]
    return [{**start, "headers": headers}, {"type": "http.response.body", "body": answer}]


def _links(start: "Message", body: bytes) -> tuple[Any, list[dict[str, Any]]] | None:
    """The document of an accepted request, and its jobs; None for any other answer."""
    if start["status"] not in _ACCEPTED:
        return None
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if not isinstance(document, dict):
        return None
    # A batch has `items` with jobs of their own; an order, too, has items, and its jobs beside them.
    accepted = [document] if "jobs" in document else cast("list[Any]", document.get("items", []))
    links = [link for one in accepted if isinstance(one, dict) for link in one.get("jobs", ())]
    return (document, links) if 0 < len(links) <= _MOST_JOBS else None
