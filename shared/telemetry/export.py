"""Where spans go: an OTLP exporter from the standard OTEL_* variables; None when nobody collects.

The SDK reads its variables itself (OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_BSP_*, OTEL_SERVICE_NAME,
OTEL_RESOURCE_ATTRIBUTES), so this file, alone beside the settings, looks at the environment: is it to start?
"""

import asyncio
import logging
import os
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from shared.telemetry import names
from shared.telemetry.job_span import JobSpans, limits_are_default

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

FLUSH_LIMIT: Final = timedelta(seconds=5)
_QUIET_PERIOD: Final = timedelta(minutes=1)
_PROTOCOL: Final = "http/protobuf"
_EXPORT_LOGGERS: Final = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",  # what the collector answered, each retry
    "opentelemetry.sdk._shared_internal",  # a full queue, once for each span that it drops
)


def export_from_environment(*, service: str, version: str, instance: str) -> "Export | None":
    """Start exporting, or None when no endpoint is set, or the SDK or the exporter is switched off.

    Raises ValueError for a protocol other than http/protobuf: spans would vanish without a word.
    """
    if not _is_wanted():
        return None
    # Imported only here: protobuf and requests take 0.3 s and 20 MB, which who exports nothing need not pay.
    from shared.telemetry.job_span_export import JobSpanExporter  # noqa: PLC0415 - the reason is above

    resource = Resource.create(
        {
            names.SERVICE_NAME: service,
            names.SERVICE_NAMESPACE: names.NAMESPACE,
            names.SERVICE_VERSION: version,
            names.SERVICE_INSTANCE_ID: instance,
        }
    )
    # Merged again, since Resource.create prefers what the code says to what the operator says.
    resource = resource.merge(OTELResourceDetector().detect())
    exporter = JobSpanExporter()
    return Export(exporter, resource, takes_job_spans=exporter.takes_job_spans)


class Export:
    """A tracer and the thread behind it that sends what it records.

    The queue is bounded and the thread retries: a collector out of reach costs spans, never a request.
    `job_spans` is None where each span has to be the SDK's: the exporter takes no others, or the operator has
    set limits (OTEL_ATTRIBUTE_*_LIMIT, OTEL_SPAN_*_LIMIT), which the SDK alone keeps.
    """

    def __init__(
        self, exporter: "SpanExporter", resource: Resource, *, takes_job_spans: bool = False
    ) -> None:
        _warn_once_a_minute()
        self._exporter = exporter
        # The stop of the service closes it; the SDK's exit hook would wait up to 30 s for a dead collector.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        processor = BatchSpanProcessor(exporter)
        self._provider.add_span_processor(processor)
        self.tracer: Tracer = self._provider.get_tracer(names.NAMESPACE)
        own = takes_job_spans and limits_are_default()
        self.job_spans: JobSpans | None = JobSpans(processor, resource) if own else None

    async def close(self, limit: timedelta) -> None:
        """Send what is queued; what is not sent within `limit` is lost. Recording afterwards does nothing."""
        flushed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):  # the limit has passed and the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(flushed.set)

        # A daemon thread, not the loop's executor: the interpreter would wait for the executor at its exit.
        threading.Thread(target=self._flush, args=(tell,), name="trace-flush", daemon=True).start()
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await flushed.wait()
        except TimeoutError:
            self._exporter.shutdown()  # ends its retries, and with them both threads

    def _flush(self, tell: "Callable[[], None]") -> None:
        try:
            self._provider.shutdown()
        finally:
            tell()


class _OneLineAMinute(logging.Filter):
    """Lets a warning through, then none for a minute: the exporter logs each failed try of each batch."""

    def __init__(self) -> None:
        super().__init__()
        self._silent_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._silent_until:
            return False
        self._silent_until = now + _QUIET_PERIOD.total_seconds()
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def _warn_once_a_minute() -> None:
    shared = _OneLineAMinute()
    for name in _EXPORT_LOGGERS:
        logger = logging.getLogger(name)
        # Replaced, not added to: the SDK's own filter lets a full queue speak every 20 s.
        logger.filters = [shared]


def _is_wanted() -> bool:
    if (
        _variable("OTEL_SDK_DISABLED").lower() == "true"
        or _variable("OTEL_TRACES_EXPORTER").lower() == "none"
    ):
        return False
    if not (_variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or _variable("OTEL_EXPORTER_OTLP_ENDPOINT")):
        return False
    protocol = _variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or _variable("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol and protocol != _PROTOCOL:
        raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}, but only {_PROTOCOL} is supported")
    return True


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()
