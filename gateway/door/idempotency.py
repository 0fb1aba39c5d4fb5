"""Idempotency-Key: the same POST twice in, one effect and the same answer out.

The whole request is one transaction: what the route writes to the ledger, and its answer, are committed
together before the answer is sent (docs/decisions/0006). So whoever dies, at whatever point, leaves either
both or nothing. The key is locked in that transaction, hence free as soon as its owner is gone.

What a route answers that is a secret is not kept: such a route takes no key (`SECRET_ANSWERS`).

A route that waits for what it has written must not wait here: nothing is committed before it answers.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from gateway.door.body import read_body
from gateway.door.idempotency_key import KeyedRequest, fingerprint_of, key_of
from gateway.door.kept_answers import Answer, KeptAnswer, find, keep, lock
from gateway.door.keys import GUARDED, principal_of
from gateway.door.problem_kinds import (
    IDEMPOTENCY_KEY_IN_FLIGHT,
    IDEMPOTENCY_KEY_NOT_TAKEN,
    IDEMPOTENCY_KEY_REUSED,
)
from gateway.door.problems import Refused
from gateway.ledger.one_commit import OneCommit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.parts import Parts

IN_FLIGHT_RETRY_AFTER_S: Final = 1
SECRET_ANSWERS: Final = frozenset({"/v1/keys"})
"""Paths whose answers must not be kept: a kept answer of theirs would be a plain API key in Postgres."""

_REPLAYED: Final = (b"idempotent-replayed", b"true")
_FIRST_ERROR: Final = 400
_DETERMINISTIC: Final = frozenset({400, 413, 415, 422})
# Each holds a connection, and its route may need a second one: fewer than the pool has.
_AT_A_TIME: Final = 8
_LONGEST_WAIT: Final = timedelta(seconds=5)


class Idempotency:
    """Wraps an app; each POST under /v1 may carry a key, whose answer is kept for `ttl`."""

    def __init__(self, app: "ASGIApp", ttl: timedelta) -> None:
        self._app = app
        self._ttl = ttl
        self._turns = asyncio.Semaphore(_AT_A_TIME)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one connection; Refused when the key is malformed, in flight or used for another request."""
        key = key_of(scope["headers"]) if _may_have_key(scope) else None
        if key is None:
            await self._app(scope, receive, send)
            return
        if scope["path"] in SECRET_ANSWERS:
            raise Refused(IDEMPOTENCY_KEY_NOT_TAKEN, "send the request without Idempotency-Key")
        # Before the transaction, which a slow caller must not hold open.
        body = await read_body(receive)
        request = KeyedRequest(principal_of(scope), key, fingerprint_of(scope, body))
        async with AsyncExitStack() as held:
            commit = await self._begin(scope, held)
            is_ours = await lock(commit.connection, request)
            kept = await find(commit.connection, request)
            if kept is None and is_ours:
                keeping = self._keeping(request, commit, held, send)
                await self._app(scope, _again(body, receive), keeping)
                return
        if kept is None:
            raise Refused(
                IDEMPOTENCY_KEY_IN_FLIGHT,
                "another request with this Idempotency-Key is being worked on",
                headers={"Retry-After": str(IN_FLIGHT_RETRY_AFTER_S)},
            )
        await _replay(kept, request, send)

    async def _begin(self, scope: "Scope", held: AsyncExitStack) -> OneCommit:
        """One of the turns and a transaction, both held by the stack."""
        async with asyncio.timeout(_LONGEST_WAIT.total_seconds()):
            await held.enter_async_context(self._turns)
        parts = cast("Parts", scope["app"].state.parts)
        return await held.enter_async_context(parts.ledger.one_commit())

    def _keeping(
        self, request: KeyedRequest, commit: OneCommit, held: AsyncExitStack, send: "Send"
    ) -> "Send":
        """Gathers the answer; when it is complete it is kept, committed and then sent.

        What is held is given back before: neither a slow caller nor a background task needs it.
        """
        start: Message = {}
        chunks: list[bytes] = []

        async def gather(message: "Message") -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            chunks.append(message.get("body", b""))
            if message.get("more_body", False):
                return
            answer = Answer(start["status"], [*start.get("headers", ())], b"".join(chunks))
            if is_kept(answer.status):
                await keep(commit.connection, request, answer, ttl=self._ttl)
                await commit.commit()
            await held.aclose()
            await _send(answer, send)

        return gather


def is_kept(status: int) -> bool:
    """Whether the answer is final: the request was done, or refused for what it says.

    What depends on the state of things (403, 404, 409, 429, 5xx) is asked anew, since nothing was done.
    """
    return status < _FIRST_ERROR or status in _DETERMINISTIC


def _may_have_key(scope: "Scope") -> bool:
    return scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(GUARDED)


def _again(body: bytes, receive: "Receive") -> "Receive":
    """The body once more, for the route."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> "Message":
        return left.pop() if left else await receive()

    return receive_again


async def _replay(kept: KeptAnswer, request: KeyedRequest, send: "Send") -> None:
    if kept.fingerprint != request.fingerprint:
        raise Refused(
            IDEMPOTENCY_KEY_REUSED, "this Idempotency-Key was used for a request with other content"
        )
    await _send(kept.answer, send, (_REPLAYED,))


async def _send(answer: Answer, send: "Send", added: Sequence[tuple[bytes, bytes]] = ()) -> None:
    headers: list[Any] = [*answer.headers, *added]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
