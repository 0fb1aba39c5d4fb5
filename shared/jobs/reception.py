"""One handler's deliveries in: claimed as a batch, run side by side, finished, acknowledged.

It is the bus's Receiver. It never takes more than can run, and keeps the leases of what runs. What a
limit does not let start is held: the messages stay in hand, and are claimed again until they start.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from shared.bus import Delivery
from shared.bus.redis_streams import UNAVAILABLE
from shared.contracts import decode_structured
from shared.jobs.burial import bury
from shared.jobs.due import DueJobs
from shared.jobs.executor import Attempt, Executor
from shared.jobs.finisher import Finisher
from shared.jobs.handlers import Handler
from shared.jobs.room import Room
from shared.jobs.states import State
from shared.jobs.store import NOT_NOW, Ending, JobStore, Verdict
from shared.jobs.time_limits import TimeLimits
from shared.telemetry import get_logger

_REFUSED_PAUSE_S = 0.5
_LAST_WORD_S = 2.0


class Reception:
    """Takes on the jobs of one handler in one process."""

    def __init__(self, handler: Handler, executor: Executor, store: JobStore, *, lease: timedelta) -> None:
        self.handler = handler
        self._executor = executor
        self._store = store
        self._finisher = Finisher(store, handler.name)
        self._room = Room(handler.name, handler.limits)
        self._due = DueJobs(store, handler.name, self.cancel, self._room.limit)
        self._in_handler: dict[str, asyncio.Task[None]] = {}
        self._to_cancel: set[str] = set()
        self._lost: set[str] = set()
        self._lease_s = lease.total_seconds()
        self._starting: set[asyncio.Task[None]] = set()
        self._running: dict[asyncio.Task[None], tuple[Delivery, Attempt]] = {}
        self._time_limits = TimeLimits(handler, self._attempts, self._abandon)
        self._abandoned: set[asyncio.Task[None]] = set()
        self._draining = False
        self._tasks: list[asyncio.Task[None]] = []
        self._log = get_logger().bind(handler=handler.name)

    async def start(self) -> None:
        """Learn the limits, then begin to keep leases, and to queue what is due."""
        await self._due.look()
        self._tasks = [asyncio.create_task(self._renew()), asyncio.create_task(self._due.run())]

    @property
    def in_flight(self) -> int:
        """How many jobs run now."""
        return len(self._running)

    @property
    def abandoned(self) -> int:
        """How many handlers run on after their attempt was ended without them."""
        return len(self._abandoned)

    async def room(self) -> int:
        """How many more messages to take now; waits until one can run, and while the handler is paused."""
        return await self._room.for_messages()

    async def receive(self, deliveries: list[Delivery]) -> None:
        """Claim and start them; returns when there may be room for more, which are read meanwhile.

        Where a limit may refuse, it returns when all are started: what one worker holds, no other can start.
        """
        free = await self._room.for_jobs()
        if self._draining:
            await _hand_back(deliveries)
            return
        # Before anything is awaited: who asks for room from here on must not be told of this.
        self._room.take(min(free, len(deliveries)))
        starting = asyncio.create_task(self._start_all(deliveries, free))
        self._starting.add(starting)
        starting.add_done_callback(self._started)
        if len(deliveries) > free or self._room.may_refuse:
            await asyncio.wait([starting])

    def refuse(self) -> None:
        """Take on nothing more; what is delivered from now on is handed back."""
        self._draining = True
        self._room.close()

    def cancel(self, event_ids: Sequence[str]) -> None:
        """End these jobs, as far as they run here: their handlers get CancelledError."""
        self._end(event_ids, self._to_cancel)

    def _end(self, event_ids: Sequence[str], why: set[str]) -> None:
        for event_id in event_ids:
            task = self._in_handler.get(event_id)
            if task is not None and event_id not in why:
                why.add(event_id)
                task.cancel()

    async def drain(self, grace: timedelta) -> None:
        """Let what runs end within `grace`, hand the rest back without counting its attempt."""
        self.refuse()
        if self._starting:
            await asyncio.wait(list(self._starting))
        if self._running:
            await asyncio.wait(list(self._running), timeout=grace.total_seconds())
        for task in (*self._running, *self._abandoned):
            task.cancel()
        if self._running:
            await asyncio.wait(list(self._running), timeout=_LAST_WORD_S)
        for task, (delivery, attempt) in list(self._running.items()):
            if attempt.in_handler_since > 0:
                attempt.is_abandoned = True
                self._leave_behind(task, delivery, attempt, self._give_up(attempt, delivery))
        if self._running:
            await asyncio.wait(list(self._running))
        await self._finisher.idle()
        self._time_limits.stop()
        for task in self._tasks:
            task.cancel()

    async def _start_all(self, deliveries: list[Delivery], free: int) -> None:
        """Start as many at a time as there is room for; that of the first `free` ones is taken."""
        while True:
            batch, later = deliveries[:free], deliveries[free:]
            try:
                held = await self._take_on(batch)
            except Exception:
                # A fault of ours: the messages are delivered again after their lease.
                for delivery in deliveries:
                    delivery.intake.forget(delivery)
                raise
            finally:
                self._room.give_back(len(batch))
            deliveries = [*(delivery for delivery, _ in held), *later]
            if not deliveries:
                return
            if held:
                await self._room.until_worth_asking([verdict for _, verdict in held])
            free = await self._room.for_jobs()
            if self._draining:
                await _hand_back(deliveries)
                return
            self._room.take(min(free, len(deliveries)))

    def _started(self, starting: "asyncio.Task[None]") -> None:
        self._starting.discard(starting)
        if not starting.cancelled() and (error := starting.exception()) is not None:
            self._log.error("job.runtime_failed", exc_info=error)

    async def _take_on(self, batch: list[Delivery]) -> list[tuple[Delivery, Verdict]]:
        events: list[Delivery] = []
        for delivery in batch:
            if delivery.fault is None:
                events.append(delivery)
            else:
                await bury(self.handler, self._store, delivery, delivery.fault)
        if not events:
            return []
        try:
            verdicts = await self._store.claim(self.handler, events)
        except UNAVAILABLE as error:
            self._log.warning("job.claim_failed", jobs=len(events), error=str(error) or repr(error))
            await asyncio.sleep(_REFUSED_PAUSE_S)
            with suppress(*UNAVAILABLE):
                await _hand_back(events)
            return []
        held: list[tuple[Delivery, Verdict]] = []
        for delivery, verdict in zip(events, verdicts, strict=True):
            if verdict.attempt == 0:
                delivery.intake.ack(delivery)
            elif verdict.attempt == NOT_NOW:
                held.append((delivery, verdict))
            elif verdict.attempt < 0:
                delivery.intake.forget(delivery)
            else:
                self._start(delivery, verdict.attempt, verdict.event)
        return held

    def _start(self, delivery: Delivery, number: int, event: bytes) -> None:
        attempt = Attempt(
            handler=self.handler,
            envelope=delivery.envelope or decode_structured(event),
            number=number,
            bus=delivery.intake.bus,
            channel=delivery.channel,
        )
        task = asyncio.create_task(self._run(attempt, delivery))
        self._running[task] = (delivery, attempt)
        self._room.take(1)
        self._time_limits.watch()
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if task in self._abandoned:
            self._abandoned.discard(task)
            return
        delivery, attempt = self._running.pop(task)
        event_id = attempt.envelope.id
        self._to_cancel.discard(event_id)
        self._lost.discard(event_id)
        if attempt.has_place:
            self._room.give_back(1)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A fault of ours, not of a handler: the message is delivered again after its lease.
            self._log.error("job.runtime_failed", event_id=event_id, exc_info=error)
            delivery.intake.forget(delivery)

    async def _run(self, attempt: Attempt, delivery: Delivery) -> None:
        try:
            ending = await self._handle(attempt)
        except asyncio.CancelledError:
            if attempt.is_abandoned:
                self._log.warning("job.abandoned_ended", job_id=attempt.job_id, attempt=attempt.number)
            else:
                await self._give_up(attempt, delivery)
            raise
        # Its place is free for the next handler, while Redis is told how this one ended.
        attempt.has_place = False
        self._room.give_back(1)
        await self._finish(attempt, delivery, ending)

    async def _finish(self, attempt: Attempt, delivery: Delivery, ending: Ending | None) -> None:
        if ending is not None and await self._finisher.finish(ending):
            delivery.intake.ack(delivery)
            if ending.state == State.RETRYING:
                self._due.expect(ending.wait)
        else:
            self._log.warning("job.fenced", job_id=attempt.job_id, attempt=attempt.number)
            delivery.intake.forget(delivery)

    async def _handle(self, attempt: Attempt) -> Ending | None:
        """The attempt's ending; None when another has the job, CancelledError when the process ends."""
        event_id = attempt.envelope.id
        task = asyncio.current_task()
        if task is not None:
            self._in_handler[event_id] = task
        try:
            return await self._executor.run(attempt)
        except asyncio.CancelledError:
            if attempt.is_abandoned:
                raise
            if event_id in self._lost:
                return None
            if event_id not in self._to_cancel:
                raise
            self._log.info("job.cancelled", job_id=attempt.job_id, attempt=attempt.number)
            return Ending(event_id=event_id, attempt=attempt.number, state=State.CANCELLED.value)
        finally:
            # A later attempt of an abandoned one may be in here already.
            if self._in_handler.get(event_id) is task:
                del self._in_handler[event_id]

    async def _give_up(self, attempt: Attempt, delivery: Delivery) -> None:
        """The process ends before the job does: somebody else runs it, as if this attempt had not been."""
        handed_back = Ending(
            event_id=attempt.envelope.id, attempt=attempt.number, state=State.QUEUED.value, counts=False
        )
        if await self._finisher.finish(handed_back):
            self._log.info("job.handed_back", job_id=attempt.job_id)
            with suppress(*UNAVAILABLE):
                await delivery.intake.hand_back([delivery])
        else:
            delivery.intake.forget(delivery)

    def _attempts(self) -> list[tuple[asyncio.Task[None], Attempt]]:
        return [(task, attempt) for task, (_, attempt) in self._running.items()]

    def _abandon(self, task: "asyncio.Task[None]") -> None:
        """End the attempt without its handler, which does not let itself be told; its slot is free then."""
        delivery, attempt = self._running[task]
        ending = self._executor.abandon(attempt)
        task.cancel()
        self._leave_behind(task, delivery, attempt, self._finish(attempt, delivery, ending))

    def _leave_behind(
        self,
        task: "asyncio.Task[None]",
        delivery: Delivery,
        attempt: Attempt,
        work: Coroutine[Any, Any, None],
    ) -> None:
        """Let the task of a handler run on for itself, and `work` be done in its place."""
        del self._running[task]
        self._abandoned.add(task)
        self._in_handler.pop(attempt.envelope.id, None)
        instead = asyncio.create_task(work)
        self._running[instead] = (delivery, attempt)
        instead.add_done_callback(self._ended)

    async def _renew(self) -> None:
        """Hold what runs for another lease, three times a lease."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            jobs = [(attempt.envelope.id, attempt.number) for _, attempt in self._running.values()]
            if not jobs:
                continue
            try:
                kept = await self._store.renew(self.handler.name, jobs)
            except UNAVAILABLE as error:
                self._log.warning("job.renew_failed", jobs=len(jobs), error=str(error))
                continue
            mine = {event_id for (event_id, _), is_mine in zip(jobs, kept, strict=True) if is_mine}
            # Where a later attempt of a lost job runs here, too, it must not be ended for the older one.
            lost = [event_id for event_id, _ in jobs if event_id not in mine]
            self._end(lost, self._lost)


async def _hand_back(deliveries: list[Delivery]) -> None:
    by_intake = {delivery.intake: [] for delivery in deliveries}
    for delivery in deliveries:
        by_intake[delivery.intake].append(delivery)
    for intake, batch in by_intake.items():
        await intake.hand_back(batch)
