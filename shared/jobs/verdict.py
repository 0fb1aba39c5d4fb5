"""How an attempt ended: what the handler returned or raised in, the job's next state out. Pure decisions."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import msgspec
from pydantic import BaseModel

from shared.contracts import Event, WrittenEvent
from shared.errors import ContractError
from shared.jobs.groups import MEMBERS_MAX, Group
from shared.jobs.handlers import Handler
from shared.jobs.outcomes import Reject, RetryAfter, Snooze
from shared.jobs.states import Death, State

RESULT_MAX_BYTES = 64 * 1024
_STACK_MAX = 16 * 1024
_MESSAGE_MAX = 4 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error as the job keeps it."""

    type: str
    message: str
    stack: str = ""

    def to_json(self) -> bytes:
        """The failure as JSON."""
        return msgspec.json.encode(self)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt leads to."""

    state: State
    result: bytes = b""
    events: Sequence[Event | WrittenEvent] = ()
    """What the handler caused, to be published before the job is finished."""
    then: Event | WrittenEvent | None = None
    """What follows when all jobs of `events` have ended; they are a group."""
    failure: Failure | None = None
    reason: Death | None = None
    wait: timedelta = timedelta(0)
    counts: bool = True


def of_return(handler: Handler, returned: Any) -> Outcome:
    """The outcome of a handler that returned: an event, several, a Group, a model, None, Snooze or Reject."""
    return of_answer(handler.name, returned)


def of_answer(handler: str, returned: Any) -> Outcome:
    """The same for a handler of this name."""
    if isinstance(returned, Snooze):
        return Outcome(state=State.RETRYING, wait=returned.delay, counts=False)
    if isinstance(returned, Reject):
        failure = Failure(type="Reject", message=returned.reason)
        return Outcome(state=State.DEAD, reason=Death.NON_RETRYABLE, failure=failure)
    if isinstance(returned, Group):
        return _of_group(handler, returned)
    try:
        events = _events(returned)
        result = _json(returned)
    except (TypeError, ValueError) as error:
        return refused(f"what {handler} returned is no JSON: {error}")
    if len(result) > RESULT_MAX_BYTES:
        return refused(
            f"the result of {handler} has {len(result)} bytes, {RESULT_MAX_BYTES} are allowed; "
            "store it as a file and return its key"
        )
    return Outcome(state=State.SUCCEEDED, result=result, events=events)


def of_error(handler: Handler, error: Exception, attempt: int) -> Outcome:
    """The outcome of a handler that raised: another attempt by its policy, or death."""
    failure = failure_of(error)
    if isinstance(error, ContractError):
        return Outcome(state=State.DEAD, reason=Death.INVALID, failure=failure)
    if isinstance(error, handler.retry.never):
        return Outcome(state=State.DEAD, reason=Death.NON_RETRYABLE, failure=failure)
    wait = handler.retry.delay(attempt)
    if wait is None:
        return Outcome(state=State.DEAD, reason=Death.EXHAUSTED, failure=failure)
    if isinstance(error, RetryAfter):
        wait = error.delay
    return Outcome(state=State.RETRYING, failure=failure, wait=wait)


def failure_of(error: BaseException) -> Failure:
    """The error with its stack from the handler on, both cut to what a job can keep."""
    ours = error.__traceback__
    below = ours.tb_next if ours is not None and ours.tb_next is not None else ours
    stack = "".join(traceback.format_exception(type(error), error, below))
    return Failure(
        type=type(error).__qualname__, message=str(error)[:_MESSAGE_MAX], stack=stack[-_STACK_MAX:]
    )


def refused(message: str) -> Outcome:
    """The outcome of a handler that returned what no job can keep: no attempt would change that."""
    return Outcome(
        state=State.DEAD, reason=Death.NON_RETRYABLE, failure=Failure(type="ResultRefused", message=message)
    )


def _of_group(handler: str, group: Group) -> Outcome:
    events: Any = group.events
    if not isinstance(events, tuple | list):
        return refused(f"the events of the group that {handler} returned are no list and no tuple")
    given = cast("Sequence[Any]", (*events, group.then))
    strangers = [type(one).__qualname__ for one in given if not isinstance(one, Event)]
    if strangers:
        return refused(f"the group that {handler} returned holds a {strangers[0]}, which is no event")
    if len(group.events) > MEMBERS_MAX:
        return refused(
            f"the group that {handler} returned has {len(group.events)} events, {MEMBERS_MAX} are "
            "allowed; let some of its events open groups of their own"
        )
    return Outcome(state=State.SUCCEEDED, events=group.events, then=group.then)


def _events(returned: Any) -> Sequence[Event]:
    if isinstance(returned, Event):
        return (returned,)
    if isinstance(returned, tuple | list):
        several = cast("Sequence[Any]", returned)
        if any(isinstance(one, Group) for one in several):
            raise TypeError("a Group is returned alone, not among other values")
        return [one for one in several if isinstance(one, Event)]
    return ()


def _json(returned: Any) -> bytes:
    if returned is None:
        return b""
    if isinstance(returned, BaseModel):
        return returned.__pydantic_serializer__.to_json(returned)
    return msgspec.json.encode(returned, enc_hook=_encode)


def _encode(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"a {type(value).__qualname__} has no JSON form")
