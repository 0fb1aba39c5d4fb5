"""The monitor's own numbers, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class MonitorMetrics:
    """Counts of spans on their way in; one object a process, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.received = Counter(
            "trunkline_monitor_spans_received",
            "Spans that came in over OTLP.",
            registry=self._registry,
        )
        self.refused = Counter(
            "trunkline_monitor_spans_refused",
            "Spans that were not stored, by reason: invalid, queue_full or store_failed.",
            ["reason"],
            registry=self._registry,
        )
        self.stored = Counter(
            "trunkline_monitor_spans_stored",
            "Spans that were committed; a copy of a span that is there already is not counted.",
            registry=self._registry,
        )
        self.evicted = Counter(
            "trunkline_monitor_spans_evicted",
            "Spans that were deleted for age or number.",
            registry=self._registry,
        )
        self.forwarded = Counter(
            "trunkline_monitor_bodies_forwarded",
            "Bodies of spans for OTLP_FORWARD_URL, by what became of them: sent, refused or dropped.",
            ["outcome"],
            registry=self._registry,
        )
        self.queued = Gauge(
            "trunkline_monitor_spans_queued",
            "Spans that wait for the writer.",
            registry=self._registry,
        )
        self.kept = Gauge(
            "trunkline_monitor_spans_kept",
            "Spans that can be read.",
            registry=self._registry,
        )
        for reason in ("invalid", "queue_full", "store_failed"):
            self.refused.labels(reason)

    def exposition(self) -> bytes:
        """The numbers in Prometheus' text format."""
        return generate_latest(self._registry)
