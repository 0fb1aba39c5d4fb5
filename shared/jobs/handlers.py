"""A service's handlers: a function with its event type, policy and limits in, a Handler out."""

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from shared.contracts import Event
from shared.errors import SettingsError
from shared.jobs.declared import event_types_in
from shared.jobs.job import Job
from shared.jobs.limits import LEAST_RATE, MOST_RATE, Limits
from shared.jobs.retry import Retry
from shared.telemetry import Tracing

HandlerFunction = Callable[..., Any]
"""An async function; with `isolation="process"` a plain one, too."""
F = TypeVar("F", bound=HandlerFunction)

Isolation = Literal["loop", "process"]
"""Where a handler runs: in the event loop of its service, or in a child process of its own."""

Provided = tuple[object, ...]
InChild = Callable[[Tracing], AbstractContextManager[Provided] | AbstractAsyncContextManager[Provided]]
"""Opens in a child process what its handler asks for: entered once a child, left when the child ends."""

CONCURRENCY = 64
HARD_MARGIN = timedelta(seconds=10)
_LEAST_MEMORY_BYTES = 128 * 1024 * 1024
_HANDLER = "__trunkline_handler__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One function that works on one type of event. `name` is `<service>.<function>`."""

    name: str
    service: str
    contract: type[Event]
    function: HandlerFunction
    retry: Retry
    time_limit: timedelta
    hard_limit: timedelta
    concurrency: int
    isolation: Isolation
    memory_limit_bytes: int | None
    in_child: InChild | None
    event_parameter: str
    job_parameter: str | None
    wants: MappingProxyType[str, type]
    """What else the function asks for: parameter -> type, filled by app.py."""
    total_concurrency: int | None = None
    rate: float | None = None
    causes: tuple[str, ...] = ()
    """The types of the events that it can cause, by its return annotation."""

    @property
    def event_type(self) -> str:
        """The type of event that it works on."""
        return self.contract.type

    @property
    def limits(self) -> Limits:
        """What the code allows; an operator may say otherwise while it runs."""
        return Limits(worker_concurrency=self.concurrency, concurrency=self.total_concurrency, rate=self.rate)


class Handlers:
    """The handlers of one service, in the order of their definition."""

    def __init__(self, service: str, *, in_child: InChild | None = None) -> None:
        self.service = service
        self._in_child = in_child
        self._handlers: dict[str, Handler] = {}

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers.values())

    def on(
        self,
        contract: type[Event],
        *,
        retry: Retry = Retry(),  # noqa: B008 - frozen
        time_limit: timedelta = timedelta(minutes=5),
        hard_limit: timedelta | None = None,
        concurrency: int | None = None,
        total_concurrency: int | None = None,
        rate: float | None = None,
        isolation: Isolation = "loop",
        memory_limit_bytes: int | None = None,
    ) -> Callable[[F], F]:
        """Register a function: the event first, then what it asks for by type.

        `time_limit` ends one attempt with TimeLimitExceeded, which the handler may catch to clean up. At
        `hard_limit` (10 s later if None) the attempt is over whatever the handler does. `concurrency` is how
        many jobs of this handler one process runs at a time: 64 if None, with `isolation="process"` as many
        as there are CPUs; `total_concurrency` is how many all processes run together, `rate` how many start
        in a second, all processes together; None for no such limit.

        A handler with `isolation="process"` stands at the top of a module and may be a plain function; it may
        block and compute, and is killed at the hard limit. `memory_limit_bytes` is what its process may use
        in all, the interpreter and its libraries included. ValueError when something does not fit.
        """

        def register(function: F) -> F:
            handler = _handler(
                self.service,
                contract,
                function,
                retry=retry,
                time_limit=time_limit,
                hard_limit=time_limit + HARD_MARGIN if hard_limit is None else hard_limit,
                concurrency=_usual_concurrency(isolation) if concurrency is None else concurrency,
                total_concurrency=total_concurrency,
                rate=rate,
                isolation=isolation,
                memory_limit_bytes=memory_limit_bytes,
                in_child=self._in_child,
            )
            if handler.name in self._handlers:
                raise ValueError(f"two handlers are named {handler.name}")
            self._handlers[handler.name] = handler
            setattr(function, _HANDLER, handler)
            return function

        return register


def fill(handler: Handler, provided: Provided, *, by: str) -> dict[str, Any]:
    """What the handler asks for, found by type among what `by` provides; SettingsError when it is missing."""
    found: dict[str, Any] = {}
    for parameter, type_ in handler.wants.items():
        fitting = [value for value in provided if isinstance(value, type_)]
        if len(fitting) != 1:
            raise SettingsError(
                f"{handler.name} asks for {parameter}: {type_.__name__}; "
                f"{by} provides {len(fitting)} of that type, it must be one"
            )
        found[parameter] = fitting[0]
    return found


def handler_of(function: Callable[..., Any]) -> Handler | None:
    """What the function was registered as; None when it was not."""
    found = getattr(function, _HANDLER, None)
    return found if isinstance(found, Handler) else None


def _handler(
    service: str,
    contract: type[Event],
    function: HandlerFunction,
    *,
    retry: Retry,
    time_limit: timedelta,
    hard_limit: timedelta,
    concurrency: int,
    total_concurrency: int | None,
    rate: float | None,
    isolation: Isolation,
    memory_limit_bytes: int | None,
    in_child: InChild | None,
) -> Handler:
    name = f"{service}.{function.__name__}"
    if isolation == "process":
        _check_for_a_child(name, function, memory_limit_bytes)
    elif not inspect.iscoroutinefunction(function):
        raise ValueError(f"{name} must be an async function, or run with isolation='process'")
    elif memory_limit_bytes is not None:
        raise ValueError(f"{name}: memory_limit_bytes needs isolation='process'")
    _check_limits(name, concurrency, total_concurrency, rate)
    if not timedelta(0) < time_limit < hard_limit:
        raise ValueError(
            f"{name}: time_limit is {time_limit} and hard_limit {hard_limit}; "
            "the first must be longer than nothing, the second longer than the first"
        )
    signature = inspect.signature(function, eval_str=True)
    parameters = list(signature.parameters.values())
    if not parameters or parameters[0].annotation is not contract:
        raise ValueError(f"{name}: the first parameter must be annotated {contract.__name__}")
    wants = {parameter.name: parameter.annotation for parameter in parameters[1:]}
    if any(annotation is inspect.Parameter.empty for annotation in wants.values()):
        raise ValueError(f"{name}: each parameter needs its type, for it is filled by type")
    job_parameter = next((at for at, annotation in wants.items() if annotation is Job), None)
    if job_parameter:
        del wants[job_parameter]
    return Handler(
        name=name,
        service=service,
        contract=contract,
        function=function,
        retry=retry,
        time_limit=time_limit,
        hard_limit=hard_limit,
        concurrency=concurrency,
        isolation=isolation,
        memory_limit_bytes=memory_limit_bytes,
        in_child=in_child,
        event_parameter=parameters[0].name,
        job_parameter=job_parameter,
        wants=MappingProxyType(wants),
        total_concurrency=total_concurrency,
        rate=rate,
        causes=tuple(event_types_in(signature.return_annotation)),
    )


def _check_limits(name: str, concurrency: int, total_concurrency: int | None, rate: float | None) -> None:
    if concurrency < 1:
        raise ValueError(f"{name}: concurrency is {concurrency}; it must be at least 1")
    if total_concurrency is not None and total_concurrency < 1:
        raise ValueError(f"{name}: total_concurrency is {total_concurrency}; it must be at least 1")
    if rate is not None and not LEAST_RATE <= rate <= MOST_RATE:
        raise ValueError(f"{name}: rate is {rate}; it must be {LEAST_RATE:g} to {MOST_RATE:g} a second")


def _check_for_a_child(name: str, function: HandlerFunction, memory_limit_bytes: int | None) -> None:
    if "<" in function.__qualname__:
        raise ValueError(
            f"{name} is {function.__qualname__}, which a child process cannot import; "
            "define it at the top of a module"
        )
    if memory_limit_bytes is not None and memory_limit_bytes < _LEAST_MEMORY_BYTES:
        raise ValueError(
            f"{name}: memory_limit_bytes is {memory_limit_bytes}; "
            f"a child process needs {_LEAST_MEMORY_BYTES} bytes to begin with"
        )


def _usual_concurrency(isolation: Isolation) -> int:
    return CONCURRENCY if isolation == "loop" else len(_usable_cpus())


def _usable_cpus() -> "set[int] | range":
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)
