"""One child process of a service: jobs of one handler in, each run in the main thread, its outcome out.

Started by child_process.py as `python -m shared.jobs.child <descriptor> <handler>`; it speaks frames on that
descriptor, and ends with its parent. What a handler prints goes where the service's own lines go.
"""

import asyncio
import contextvars
import ctypes
import inspect
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from queue import SimpleQueue
from typing import Any, cast

import structlog

from shared import VERSION
from shared.clock import SystemClock
from shared.contracts.catalogue import check
from shared.jobs import verdict
from shared.jobs.decided import Decided, decided_in
from shared.jobs.frames import (
    BadFrame,
    Begun,
    Cancel,
    Ended,
    FromChild,
    Hello,
    Progress,
    Ready,
    Refused,
    Run,
    ToChild,
    encode,
    read_to_child,
)
from shared.jobs.handlers import Handler, Provided, fill
from shared.jobs.interrupts import Interrupts
from shared.jobs.job import Job
from shared.jobs.origin import load
from shared.jobs.outcomes import HandlerGaveUp, TimeLimitExceeded
from shared.jobs.states import Death, State
from shared.jobs.verdict import Failure, Outcome
from shared.telemetry import Tracing, configure_logging, configure_tracing, get_logger

_PR_SET_PDEATHSIG = 1
_FLUSH_LIMIT = timedelta(seconds=2)


def main() -> None:
    """Serve the parent until it says stop; code 1 when the handler cannot run here."""
    line = Line(socket.socket(fileno=int(sys.argv[1])))
    hello = line.receive()
    if not isinstance(hello, Hello):
        sys.exit(1)
    _die_with(os.getppid())
    sys.path[:] = hello.path
    interrupts = Interrupts()
    configure_logging(hello.service, level=hello.log_level, format=hello.log_format)
    tracing = configure_tracing(hello.service, VERSION, f"{hello.service}-child-{os.getpid()}")
    with asyncio.Runner() as runner, ExitStack() as stack:
        stack.callback(lambda: runner.run(tracing.close(_FLUSH_LIMIT)))
        try:
            handler = load(hello.origin)
            arguments = stack.enter_context(_resources(handler, tracing, runner))
        except Exception as error:  # noqa: BLE001 - whatever an import or in_child raises, the parent tells it
            line.send(Refused(f"{type(error).__qualname__}: {error}"))
            sys.exit(1)
        _limit_memory(handler.memory_limit_bytes)
        line.send(Ready())
        _serve(line, Bench(handler, arguments, runner, tracing, interrupts, line), interrupts)


class Line:
    """The child's end of the socket; blocks."""

    def __init__(self, end: socket.socket) -> None:
        end.set_inheritable(False)  # what a handler starts shall not keep the line open
        self._end = end
        self._lock = threading.Lock()

    def send(self, message: FromChild) -> None:
        """Write one frame; BadFrame when it is too large."""
        frame = encode(message)
        with self._lock:
            self._end.sendall(frame)

    def receive(self) -> ToChild | None:
        """The next message; None when the parent is gone."""
        return read_to_child(self._read)

    def _read(self, size: int) -> bytes | None:
        got = bytearray()
        while len(got) < size:
            piece = self._end.recv(size - len(got))
            if not piece:
                return None
            got += piece
        return bytes(got)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the handler works: with what it asks for, one job at a time."""

    handler: Handler
    arguments: Mapping[str, Any]
    runner: asyncio.Runner
    tracing: Tracing
    interrupts: Interrupts
    line: Line

    def work(self, number: int, run: Run) -> Ended:
        """Run the handler on one event; whatever it raises is part of how the job ended."""
        with (
            self.tracing.child_process(self.handler.name, run.traceparent, job_id=run.job_id) as span,
            structlog.contextvars.bound_contextvars(job_id=run.job_id, trace_id=span.trace_id),
        ):
            outcome, is_last = self._outcome(number, run)
            if outcome is None:
                return Ended(is_cancelled=True)
            if outcome.failure is not None:
                span.fail(outcome.failure.type, outcome.failure.message)
            return Ended.of(outcome, is_last=is_last)

    def _outcome(self, number: int, run: Run) -> tuple[Outcome | None, bool]:
        handler = self.handler
        try:
            try:
                returned = self._call(number, run)
            finally:
                self.interrupts.end()
            return verdict.of_return(handler, returned), False
        except asyncio.CancelledError as cancelled:
            if self.interrupts.is_ordered(number):
                return None, False
            failed: Exception = HandlerGaveUp(cancelled)
        except SystemExit as left:
            failed = HandlerGaveUp(left)
        except MemoryError as error:
            # To tell of it takes memory, too. The child is replaced, for nobody knows what is left in it.
            _limit_memory(None)
            return verdict.of_error(handler, _from(handler, error), run.attempt), True
        except (Exception, Decided, BaseExceptionGroup) as error:  # noqa: BLE001 - whatever a handler raises is its job's failure
            if (known := decided_in(error)) is not None:
                return known, False
            failed = _from(handler, error) if isinstance(error, Exception) else HandlerGaveUp(error)
        return verdict.of_error(handler, failed, run.attempt), False

    def _call(self, number: int, run: Run) -> Any:
        handler, limit = self.handler, self.handler.time_limit
        event = check(handler.contract, run.envelope)
        arguments = dict(self.arguments)
        if handler.job_parameter is not None:
            arguments[handler.job_parameter] = self._job(run)
        if not inspect.iscoroutinefunction(handler.function):
            self.interrupts.begin(number, limit)
            return handler.function(event, **arguments)

        async def awaited() -> Any:
            soft = asyncio.timeout(limit.total_seconds())
            try:
                async with soft:
                    self.interrupts.begin(number, limit, task=asyncio.current_task())
                    return await handler.function(event, **arguments)
            except TimeoutError as error:
                if soft.expired():
                    raise TimeLimitExceeded(limit) from error
                raise

        # The context of this call, in which the span is: by itself the runner uses that of its own making.
        return self.runner.run(awaited(), context=contextvars.copy_context())

    def _job(self, run: Run) -> Job:
        def tell_now(done: float, total: float, note: str) -> None:
            with self.interrupts.held():
                self.line.send(Progress(done, total, note))

        async def tell(done: float, total: float, note: str) -> None:
            tell_now(done, total, note)

        return Job(
            id=run.job_id,
            handler=self.handler.name,
            attempt=run.attempt,
            envelope=run.envelope,
            deadline=SystemClock().now() + self.handler.time_limit,
            log=get_logger().bind(handler=self.handler.name, attempt=run.attempt),
            tell_progress=tell,
            tell_now=tell_now,
        )


def _serve(line: Line, bench: Bench, interrupts: Interrupts) -> None:
    """Take jobs from the parent one after the other; another thread listens meanwhile."""
    jobs: SimpleQueue[tuple[int, Run] | None] = SimpleQueue()

    def listen() -> None:
        number = 0
        while (message := line.receive()) is not None:
            if isinstance(message, Run):
                number += 1
                jobs.put((number, message))
            elif isinstance(message, Cancel):
                interrupts.order(number)
            else:
                jobs.put(None)
                return
        _kill_all()

    threading.Thread(target=listen, name="parent", daemon=True).start()
    while (job := jobs.get()) is not None:
        line.send(Begun())
        ended = bench.work(*job)
        try:
            line.send(ended)
        except BadFrame as error:
            failure = Failure(type="ResultRefused", message=f"what {bench.handler.name} caused: {error}")
            refused = Outcome(state=State.DEAD, reason=Death.NON_RETRYABLE, failure=failure)
            line.send(Ended.of(refused, is_last=False))


@contextmanager
def _resources(handler: Handler, tracing: Tracing, runner: asyncio.Runner) -> Generator[Mapping[str, Any]]:
    """What the handler asks for, open until the child ends."""
    if handler.in_child is None:
        yield fill(handler, (), by="no in_child")
        return
    opened: Any = handler.in_child(tracing)
    with _in_loop(opened, runner) if hasattr(opened, "__aenter__") else opened as provided:
        yield fill(handler, provided, by="in_child")


@contextmanager
def _in_loop(opened: Any, runner: asyncio.Runner) -> Generator[Provided]:
    enter = cast("Callable[[], Awaitable[Provided]]", opened.__aenter__)
    leave = cast("Callable[..., Awaitable[object]]", opened.__aexit__)

    async def wait_for(awaitable: Awaitable[Any]) -> Any:
        return await awaitable

    provided = runner.run(wait_for(enter()))
    try:
        yield provided
    finally:
        runner.run(wait_for(leave(*sys.exc_info())))


def _from(handler: Handler, error: Exception) -> Exception:
    """The error with its stack from the call of the handler on, without the runner's."""
    code = inspect.unwrap(handler.function).__code__
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        if step.tb_next.tb_frame.f_code is code:
            return error.with_traceback(step)
        step = step.tb_next
    return error


def _limit_memory(most_bytes: int | None) -> None:
    """What the process may write to privately, None for no limit; the address space is not what is scarce."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = hard if most_bytes is None or 0 <= hard < most_bytes else most_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _die_with(parent: int) -> None:
    """On Linux the kernel kills us when the parent dies, also while C code holds the interpreter."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        _kill_all()


def _kill_all() -> None:
    """End this process and what its handler started; it leads a process group of its own."""
    os.killpg(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
