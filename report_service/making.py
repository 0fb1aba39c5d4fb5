"""A report from the question to the file: read, written, stored. Runs in a child process and may block it."""

import re
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncEngine

from report_service import kinds
from report_service.document import Document, House
from report_service.formats import FORMATS
from report_service.mail import file_name
from report_service.period import Period
from report_service.reading import Source, reading
from report_service.settings import ReportSettings
from shared.contracts import ReportReady, ReportRequested
from shared.db import connect
from shared.objects import Objects
from shared.telemetry import Tracing

Tell = Callable[[float, float, str], Awaitable[None]]
"""Is told how far a report is: done, total, and what is going on."""

_STEPS: Final = 3
_SEGMENT: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,127}", re.ASCII)
_KEYS: Final = UUID("0b3d9d7e-1c65-5a0e-9c51-6d1f1f6c8a77")


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where reports are made: what they are made of, and where they are put."""

    engine: AsyncEngine
    objects: Objects
    settings: ReportSettings

    async def make(self, request: ReportRequested, *, now: datetime, tell: Tell) -> ReportReady:
        """The report, stored under a key of its id: a second run puts the same file there again.

        NotAPeriod, TooManyRows, TooSlow, NoSuchCustomer and NotThere say why there cannot be one.
        """
        zone, most_days = self.settings.report_time_zone, self.settings.report_max_days
        period = Period.of(request.first_day, request.last_day, zone, most_days=most_days)
        await tell(0, _STEPS, "reading")
        document = await self._read(request, period, now=now, tell=tell)
        await tell(1, _STEPS, f"writing {document.rows:,} rows")
        with tempfile.TemporaryDirectory(prefix="trunkline-report-") as folder:
            path = Path(folder) / f"report.{request.format}"
            house = House(self.settings.report_issuer, self.settings.report_fonts)
            FORMATS[request.format].write(document, path, house)
            await tell(2, _STEPS, "storing")
            stored = await self.objects.put_file(key_of(request), path)
        await tell(_STEPS, _STEPS, "ready")
        return ReportReady(
            report_id=request.report_id,
            kind=request.kind,
            format=request.format,
            first_day=request.first_day,
            last_day=request.last_day,
            user_id=request.user_id,
            file_key=key_of(request),
            media_type=FORMATS[request.format].media_type,
            size_bytes=stored.size_bytes,
            rows=document.rows,
            name=file_name(request),
        )

    async def _read(self, request: ReportRequested, period: Period, *, now: datetime, tell: Tell) -> Document:
        settings = self.settings
        is_pdf = request.format == "pdf"
        row_limit = min(settings.report_max_rows, settings.report_max_pdf_rows if is_pdf else 10**9)

        async def tell_rows(rows: int) -> None:
            await tell(min(0.9, rows / row_limit), _STEPS, f"reading, {rows:,} rows")

        async with reading(
            self.engine, row_limit=row_limit, time_limit=settings.report_read_limit, tell=tell_rows
        ) as source:
            return await _document(request, source, period, now)


async def _document(request: ReportRequested, source: Source, period: Period, now: datetime) -> Document:
    match request.kind:
        case "orders_summary":
            return await kinds.orders_summary(source, period, now=now)
        case "sales_by_product":
            return await kinds.sales_by_product(source, period, now=now)
        case "customer_statement":
            return await kinds.customer_statement(source, period, user_id=request.user_id or "", now=now)
        case "system_activity":
            return await kinds.system_activity(source, period, now=now)


def key_of(request: ReportRequested) -> str:
    """`reports/<report_id>.<format>`; of an id that is no segment of a key, a name made of it."""
    id_ = request.report_id
    segment = id_ if _SEGMENT.fullmatch(id_) else str(uuid5(_KEYS, id_))
    return f"reports/{segment}.{request.format}"


@asynccontextmanager
async def open_workshop(_: Tracing) -> AsyncGenerator[tuple[object, ...]]:
    """What a child process opens, once."""
    settings = ReportSettings.load()
    engine = connect(settings.database_url, service="report", pool_size=1)
    try:
        yield (Workshop(engine, Objects(settings.files_url), settings),)
    finally:
        await engine.dispose()
