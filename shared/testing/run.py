"""One attempt of one handler, without any server: an event and fakes in, what became of the job out.

The way is the real one: the contract is checked, the handler runs within its time limit, its outcome is
decided by its policy. Only the outer edge is not there: what it causes and tells is kept for the test.
"""

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from shared.bus import Bus
from shared.contracts import Envelope, Event, WrittenEvent, wrap
from shared.jobs import Death, Handler, Handlers, Job, State
from shared.jobs.children import Children
from shared.jobs.executor import Attempt, Executor
from shared.jobs.store import Ending, JobStore
from shared.jobs.time_limits import TimeLimits
from shared.jobs.verdict import Outcome
from shared.telemetry import Metrics, Tracing
from shared.testing.clock import StillClock


class Progress(NamedTuple):
    """What a handler told about how far it is."""

    done: float
    total: float
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A job after one attempt, as Redis and the API would show it."""

    id: str
    state: State
    attempt: int
    """How many attempts count by now: one less when this one was postponed."""
    result: Any
    """What the handler returned, as JSON values; None without a result."""
    caused: tuple[Event | WrittenEvent, ...]
    """The events that the handler returned."""
    envelopes: tuple[Envelope, ...]
    """The same as they were published."""
    then: Event | WrittenEvent | None
    """What follows when all jobs of these have ended, of a handler that returned a Group."""
    error: Mapping[str, str] | None
    """`type`, `message` and `stack` of what went wrong."""
    reason: Death | None
    """Why the job is dead."""
    due_at: datetime | None
    """When it would run again."""
    progress: tuple[Progress, ...]


class Run:
    """Runs handlers of one service at an instant that stands still; call it with an event."""

    def __init__(self, handlers: Handlers, *, clock: StillClock | None = None) -> None:
        self.clock = clock or StillClock()
        self._handlers = {handler.name: handler for handler in handlers}

    @property
    def now(self) -> datetime:
        """The instant at which everything happens."""
        return self.clock.now()

    async def __call__(
        self, event: Event | Envelope, *, handler: str | None = None, attempt: int = 1, **fakes: object
    ) -> Ran:
        """Run the handler of the event, as its n-th attempt; `fakes` fill what else it asks for, by name.

        `handler` names it (`email.send`, or `send`) where several take this type. An Envelope instead of an
        event brings its own id and attributes, or data that break the contract. TypeError when a fake is
        missing, or nobody asks for it.
        """
        envelope = wrap(event, source="/test", now=self.now) if isinstance(event, Event) else event
        chosen = self._chosen(envelope.type, handler)
        _check(chosen, fakes)
        bus, store = _KeptBus(), _KeptProgress()
        executor = _KeepingExecutor(
            bus=bus,
            store=store,
            tracing=Tracing(),
            metrics=Metrics(service=chosen.service, version="test"),
            clock=self.clock,
            worker="test",
            version="test",
            children=Children(log_level="info", log_format=None),
            arguments={chosen.name: fakes},
        )
        here = _in_this_process(chosen)
        numbered = Attempt(handler=here, envelope=envelope, number=attempt, bus="redis", channel="test")
        attempting = asyncio.create_task(executor.run(numbered))
        limits = TimeLimits(here, lambda: [(attempting, numbered)], lambda _: None)
        limits.watch()
        try:
            ending = await attempting
        finally:
            limits.stop()
        return self._ran(numbered, ending, executor, bus, store)

    def _chosen(self, event_type: str, name: str | None) -> Handler:
        fitting = [
            handler
            for handler in self._handlers.values()
            if handler.event_type == event_type and name in {None, handler.name, handler.function.__name__}
        ]
        if len(fitting) == 1:
            return fitting[0]
        known = ", ".join(f"{handler.name} ({handler.event_type})" for handler in self._handlers.values())
        asked = f"{event_type} and {name}" if name else event_type
        raise TypeError(f"{len(fitting)} handlers fit {asked}, it must be one; there are: {known or 'none'}")

    def _ran(
        self,
        attempt: Attempt,
        ending: Ending,
        executor: "_KeepingExecutor",
        bus: "_KeptBus",
        store: "_KeptProgress",
    ) -> Ran:
        fields = dict(zip(map(str, ending.fields[::2]), ending.fields[1::2], strict=True))
        result, error, reason = fields.get("result"), fields.get("error"), fields.get("reason")
        state = State(ending.state)
        return Ran(
            id=attempt.job_id,
            state=state,
            attempt=attempt.number if ending.counts else attempt.number - 1,
            result=msgspec.json.decode(result) if result else None,
            caused=tuple(executor.events),
            envelopes=tuple(bus.envelopes),
            then=executor.then,
            error=msgspec.json.decode(error) if error else None,
            reason=Death(str(reason)) if reason else None,
            due_at=self.now + ending.wait if state is State.RETRYING else None,
            progress=tuple(store.progress),
        )


def _check(handler: Handler, fakes: Mapping[str, object]) -> None:
    missing, unknown = handler.wants.keys() - fakes.keys(), fakes.keys() - handler.wants.keys()
    if missing:
        wanted = ", ".join(f"{name}: {handler.wants[name].__name__}" for name in sorted(missing))
        raise TypeError(f"{handler.name} asks for {wanted}; give a fake of this name")
    if unknown:
        raise TypeError(f"{handler.name} does not ask for {', '.join(sorted(unknown))}")


def _in_this_process(handler: Handler) -> Handler:
    """The handler as it runs in a test: without a child process."""
    if handler.isolation == "loop":
        return handler
    function = handler.function
    if not inspect.iscoroutinefunction(function):
        plain = function

        async def function(event: Event, **arguments: object) -> object:
            return plain(event, **arguments)

    return replace(handler, isolation="loop", function=function)


class _KeptBus(Bus):
    """Takes everything, keeps it."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def publish(self, envelopes: Sequence[Envelope]) -> dict[str, str]:
        self.envelopes += envelopes
        return {envelope.id: "test" for envelope in envelopes}


class _KeptProgress(JobStore):
    """Knows progress, and nothing else."""

    def __init__(self) -> None:
        self.progress: list[Progress] = []

    async def tell_progress(self, handler: str, event_id: str, attempt: int, progress: bytes) -> bool:
        del handler, event_id, attempt
        self.progress.append(Progress(**msgspec.json.decode(progress)))
        return True


@dataclass(frozen=True, kw_only=True)
class _KeepingExecutor(Executor):
    """Keeps the events as the handler returned them: an envelope has only their JSON."""

    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    @property
    def events(self) -> Sequence[Event | WrittenEvent]:
        return self.outcomes[-1].events

    @property
    def then(self) -> Event | WrittenEvent | None:
        return self.outcomes[-1].then

    async def _outcome(self, attempt: Attempt) -> Outcome:
        outcome = await super()._outcome(attempt)
        self.outcomes.append(outcome)
        return outcome

    def _job(self, attempt: Attempt) -> Job:
        def tell_now(done: float, total: float, note: str) -> None:
            if isinstance(self.store, _KeptProgress):
                self.store.progress.append(Progress(done, total, note))

        job = super()._job(attempt)
        job.tell_now = tell_now
        return job
