"""The numbers of one process, and their Prometheus text.

Labels are names of handlers, routes, states and destinations, of which there are few; an id is never one.
"""

from typing import TYPE_CHECKING

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from shared.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Metrics:
    """Counts what a process does; its methods cost about a microsecond and may be called from any thread.

    The children of labels are kept in dicts, since to look one up in the library costs more than to count.
    """

    def __init__(self, *, service: str, version: str) -> None:
        # A creation time beside each series would double the page, and the text format has no use for it.
        prometheus_client.disable_created_metrics()
        self.content_type = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        build = Info(names.BUILD, "The service and its version.", registry=registry)
        build.info({"service": service, "version": version})

        self._jobs = Counter(
            names.JOBS,
            "Attempts that ended, by the state they left the job in.",
            ["handler", "state"],
            registry=registry,
        )
        self._in_flight = Gauge(
            names.JOBS_IN_FLIGHT, "Attempts that run now.", ["handler"], registry=registry
        )
        self._took = Histogram(
            names.PROCESS_DURATION,
            "How long an attempt ran, by the state it left the job in.",
            ["handler", "state"],
            buckets=names.DURATION_BUCKETS,
            registry=registry,
        )
        self._sent = Counter(
            names.SENT_MESSAGES, "Messages handed to a broker.", ["system", "destination"], registry=registry
        )
        self._consumed = Counter(
            names.CONSUMED_MESSAGES,
            "Messages read from a broker.",
            ["system", "destination"],
            registry=registry,
        )
        self._requests = Histogram(
            names.HTTP_REQUEST_DURATION,
            "How long a request took; route is empty where none matched.",
            ["method", "route", "status"],
            buckets=names.DURATION_BUCKETS,
            registry=registry,
        )
        self._gauges: dict[str, Gauge] = {}
        self._in_flight_by_handler: dict[str, Gauge] = {}
        self._ended_by_handler_and_state: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._sent_by_destination: dict[tuple[str, str], Counter] = {}
        self._consumed_by_destination: dict[tuple[str, str], Counter] = {}
        self._requests_by_route: dict[tuple[str, str, int], Histogram] = {}

    def job_started(self, handler: str) -> None:
        """An attempt begins; `job_finished` must follow."""
        child = self._in_flight_by_handler.get(handler)
        if child is None:
            child = self._in_flight_by_handler[handler] = self._in_flight.labels(handler)
        child.inc()

    def job_finished(self, handler: str, state: str, took_s: float) -> None:
        """An attempt that `job_started` announced has ended and left the job in `state`."""
        children = self._ended_by_handler_and_state.get((handler, state))
        if children is None:
            children = self._jobs.labels(handler, state), self._took.labels(handler, state)
            self._ended_by_handler_and_state[handler, state] = children
        children[0].inc()
        children[1].observe(took_s)
        self._in_flight_by_handler[handler].dec()

    def messages_sent(self, system: str, destination: str, count: int = 1) -> None:
        """A broker has confirmed `count` messages."""
        child = self._sent_by_destination.get((system, destination))
        if child is None:
            child = self._sent_by_destination[system, destination] = self._sent.labels(system, destination)
        child.inc(count)

    def messages_consumed(self, system: str, destination: str, count: int = 1) -> None:
        """A broker has delivered `count` messages, redelivered ones included."""
        child = self._consumed_by_destination.get((system, destination))
        if child is None:
            child = self._consumed_by_destination[system, destination] = self._consumed.labels(
                system, destination
            )
        child.inc(count)

    def request_finished(self, method: str, route: str | None, status: int, took_s: float) -> None:
        """A request was answered; `route` is the template, None where no route matched."""
        key = (method, route or "", status)
        child = self._requests_by_route.get(key)
        if child is None:
            child = self._requests_by_route[key] = self._requests.labels(method, route or "", str(status))
        child.observe(took_s)

    def watch(self, name: str, description: str, read: "Callable[[], float]") -> None:
        """A gauge read at each scrape: a backlog, a lag. `read` may not block or raise; the last one wins."""
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauges[name] = Gauge(name, description, registry=self._registry)
        gauge.set_function(read)

    def by_handler(self, name: str, description: str, values: "Mapping[str, float]") -> None:
        """A gauge with a series for each of these handlers, and for no other from now on."""
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauges[name] = Gauge(name, description, ["handler"], registry=self._registry)
        gauge.clear()
        for handler, value in values.items():
            gauge.labels(handler).set(value)

    def render(self) -> bytes:
        """The page for GET /metrics, of type `content_type`."""
        return prometheus_client.generate_latest(self._registry)
