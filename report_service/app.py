"""The composition root: `faststream run report_service.app:app` and `python -m report_service` run it.

Reports are made in child processes, which open what they need by themselves (making.py).
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from report_service.cleanup import Shelf
from report_service.handlers import handlers
from report_service.read_model import ReadModel
from report_service.settings import ReportSettings
from shared.db import connect
from shared.objects import Objects
from shared.service import Service
from shared.telemetry import Tracing, trace_statements

settings = ReportSettings.load()


@asynccontextmanager
async def resources(tracing: Tracing) -> AsyncGenerator[tuple[object, ...]]:
    """What the handlers ask for; closed when the last job has ended."""
    engine = connect(settings.database_url, service="report", pool_size=settings.database_pool_size)
    trace_statements(engine.sync_engine, tracing)
    shelf = Shelf(Objects(settings.files_url), keep=settings.report_ttl)
    try:
        yield (ReadModel(engine), shelf, settings)
    finally:
        await engine.dispose()


app = Service("report", handlers, settings, resources=resources)
