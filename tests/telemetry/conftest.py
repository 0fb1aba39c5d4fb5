"""A collector, tracing that exports to it, and logging that is put back."""

import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from shared.telemetry import Tracing, configure_tracing
from tests.otlp_receiver import OtlpReceiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(autouse=True)
def no_variables_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_SDK_DISABLED",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_EXPORTER",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> "AsyncIterator[OtlpReceiver]":
    async with OtlpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield receiver


@pytest.fixture
async def tracing(collector: OtlpReceiver) -> "AsyncIterator[Tracing]":
    assert collector.url
    tracing = configure_tracing("email", "1.2.3", "email-1")
    yield tracing
    await tracing.close()


@pytest.fixture
def logging_restored() -> "Iterator[None]":
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
