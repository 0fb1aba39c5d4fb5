"""A test's tool: the process dies where TRUNKLINE_FAULT says. Without the variable nothing happens.

`after_commit` dies right after the first commit of an event, before its publish and before the answer;
`before_commit` when the first answer to a request with an Idempotency-Key is written and not yet committed;
`after_answer` when the first answer is sent, and the request's BackgroundTasks are to begin.
"""

import asyncio
import os
from typing import Literal

Fault = Literal["", "after_commit", "before_commit", "after_answer"]
_AS_IF_KILLED = 137
_UNTIL_SENT_S = 0.2  # the event loop hands bytes to the system at the end of its turn, not at once


class Faults:
    """The one place where the gateway can be made to die."""

    def __init__(self, fault: Fault = "") -> None:
        self._dies_before_commit = fault == "before_commit"
        self._dies_after_commit = fault == "after_commit"
        self._dies_after_answer = fault == "after_answer"

    def before_commit(self) -> None:
        """An event and its answer have been written; neither is committed."""
        if self._dies_before_commit:
            os._exit(_AS_IF_KILLED)

    def after_commit(self) -> None:
        """An event has been committed; nobody knows it yet."""
        if self._dies_after_commit:
            os._exit(_AS_IF_KILLED)

    async def after_answer(self) -> None:
        """The client has its answer; of the tasks after it none has begun."""
        if self._dies_after_answer:
            await asyncio.sleep(_UNTIL_SENT_S)
            os._exit(_AS_IF_KILLED)
