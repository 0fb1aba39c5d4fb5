"""The monitor's own jobs, beside its pages: settings in, a hosted service out; none without REDIS_URL."""

import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from monitor.handlers import handlers
from monitor.settings import Settings
from monitor.survey import Survey
from shared import VERSION
from shared.bus.redis_streams import connect
from shared.hosted import Hosted
from shared.jobs import Registry
from shared.service import Service
from shared.telemetry import Metrics, Tracing, configure_tracing

_NAME: Final = "monitor"
_FLUSH_LIMIT: Final = timedelta(seconds=0.5)
"""The spans of these jobs go to the collector of this very process, which may have closed by then."""


def names_redis(settings: Settings) -> bool:
    """Whether somebody said where Redis is: the pages need none, and a default may lead nowhere."""
    return "redis_url" in settings.model_fields_set


@asynccontextmanager
async def working(settings: Settings, metrics: Metrics) -> AsyncGenerator[None]:
    """Work on health checks; waits for Redis as long as that is away."""
    if not names_redis(settings):
        yield
        return
    tracing = configure_tracing(_NAME, VERSION, f"{_NAME}-{socket.gethostname()}-{os.getpid()}")

    @asynccontextmanager
    async def resources(_: Tracing) -> AsyncGenerator[tuple[object, ...]]:
        redis = connect(settings.redis_url)
        try:
            yield (Survey(Registry(redis), gateway_url=settings.gateway_url),)
        finally:
            await redis.aclose()

    def make() -> Service:
        return Service(_NAME, handlers, settings, resources=resources)

    try:
        async with Hosted(make, tracing=tracing, metrics=metrics):
            yield
    finally:
        await tracing.close(_FLUSH_LIMIT)
