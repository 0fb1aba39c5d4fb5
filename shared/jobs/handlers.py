"""A service's handlers: a function with its event type, policy and limits in, a Handler out."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypeVar

from shared.contracts import Event
from shared.jobs.job import Job
from shared.jobs.limits import LEAST_RATE, MOST_RATE, Limits
from shared.jobs.retry import Retry

HandlerFunction = Callable[..., Awaitable[Any]]
F = TypeVar("F", bound=HandlerFunction)

CONCURRENCY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One function that works on one type of event. `name` is `<service>.<function>`."""

    name: str
    service: str
    contract: type[Event]
    function: HandlerFunction
    retry: Retry
    time_limit: timedelta
    concurrency: int
    event_parameter: str
    job_parameter: str | None
    wants: MappingProxyType[str, type]
    """What else the function asks for: parameter -> type, filled by app.py."""
    total_concurrency: int | None = None
    rate: float | None = None

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

    def __init__(self, service: str) -> None:
        self.service = service
        self._handlers: dict[str, Handler] = {}

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers.values())

    def on(
        self,
        contract: type[Event],
        *,
        retry: Retry = Retry(),  # noqa: B008 - frozen
        time_limit: timedelta = timedelta(minutes=5),
        concurrency: int = CONCURRENCY,
        total_concurrency: int | None = None,
        rate: float | None = None,
    ) -> Callable[[F], F]:
        """Register an async function: the event first, then what it asks for by type.

        `time_limit` ends one attempt with TimeLimitExceeded; `concurrency` is how many jobs of this
        handler one process runs at a time, `total_concurrency` how many all processes run together, and
        `rate` how many start in a second, all processes together; None for no such limit. ValueError when
        the signature does not fit.
        """

        def register(function: F) -> F:
            handler = _handler(
                self.service,
                contract,
                function,
                retry=retry,
                time_limit=time_limit,
                concurrency=concurrency,
                total_concurrency=total_concurrency,
                rate=rate,
            )
            if handler.name in self._handlers:
                raise ValueError(f"two handlers are named {handler.name}")
            self._handlers[handler.name] = handler
            return function

        return register


def _handler(
    service: str,
    contract: type[Event],
    function: HandlerFunction,
    *,
    retry: Retry,
    time_limit: timedelta,
    concurrency: int,
    total_concurrency: int | None,
    rate: float | None,
) -> Handler:
    name = f"{service}.{function.__name__}"
    if not inspect.iscoroutinefunction(function):
        raise ValueError(f"{name} must be an async function")
    if concurrency < 1:
        raise ValueError(f"{name}: concurrency is {concurrency}; it must be at least 1")
    if total_concurrency is not None and total_concurrency < 1:
        raise ValueError(f"{name}: total_concurrency is {total_concurrency}; it must be at least 1")
    if rate is not None and not LEAST_RATE <= rate <= MOST_RATE:
        raise ValueError(f"{name}: rate is {rate}; it must be {LEAST_RATE:g} to {MOST_RATE:g} a second")
    parameters = list(inspect.signature(function, eval_str=True).parameters.values())
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
        concurrency=concurrency,
        event_parameter=parameters[0].name,
        job_parameter=job_parameter,
        wants=MappingProxyType(wants),
        total_concurrency=total_concurrency,
        rate=rate,
    )
