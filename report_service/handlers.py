"""What the report service takes and gives: events, questions and ticks in; ReportReady and mail out."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid5

from report_service.cleanup import Shelf
from report_service.kinds.customer_statement import NoSuchCustomer
from report_service.mail import mails_of
from report_service.making import Workshop, open_workshop
from report_service.period import NotAPeriod, day_before, week_before
from report_service.read_model import ReadModel
from report_service.reading import NotThere, TooManyRows, TooSlow
from report_service.settings import ReportSettings, Scheduled
from shared.clock import from_rfc3339
from shared.contracts import (
    CleanupDue,
    DailyReportDue,
    EmailRequested,
    InventoryRejected,
    InventoryReserved,
    OrderCreated,
    ReportFailed,
    ReportReady,
    ReportRequested,
    Tick,
    UserRegistered,
    WeeklyReportDue,
)
from shared.jobs import Handlers, Job, Retry, Snooze

handlers = Handlers("report", in_child=open_workshop)

MEMORY_LIMIT_BYTES = 1024 * 1024 * 1024
"""The largest PDF that the settings allow by default takes half of it."""

_CONCURRENCY = 4
"""Of each of the four that record: together as many as there may be connections, which is twice the pool."""
_RETRY = Retry(attempts=8, base=timedelta(seconds=1))
_SCHEDULED = UUID("c7d8b1de-33a5-5b0e-a4a0-1a5c2f1e9b42")
_CANNOT = (NotAPeriod, TooManyRows, TooSlow, NoSuchCustomer, NotThere)

_PATIENCE = timedelta(seconds=10)
"""For how long a customer's events may be on their way here when the statement is asked for."""


@handlers.on(UserRegistered, retry=_RETRY, concurrency=_CONCURRENCY)
async def record_user(event: UserRegistered, job: Job, read_model: ReadModel) -> None:
    """Note who has an account, for the names in statements."""
    await read_model.user_registered(event, _said_at(job))


@handlers.on(OrderCreated, retry=_RETRY, concurrency=_CONCURRENCY)
async def record_order(event: OrderCreated, job: Job, read_model: ReadModel) -> None:
    """Note an order with its lines."""
    await read_model.order_created(event, _said_at(job))


@handlers.on(InventoryReserved, retry=_RETRY, concurrency=_CONCURRENCY)
async def record_reservation(event: InventoryReserved, job: Job, read_model: ReadModel) -> None:
    """Note that an order is confirmed, also one that is not known yet."""
    await read_model.order_decided(event.order_id, "confirmed", _said_at(job))


@handlers.on(InventoryRejected, retry=_RETRY, concurrency=_CONCURRENCY)
async def record_rejection(event: InventoryRejected, job: Job, read_model: ReadModel) -> None:
    """Note that an order is rejected, also one that is not known yet."""
    await read_model.order_decided(event.order_id, "rejected", _said_at(job))


@handlers.on(
    ReportRequested,
    isolation="process",
    time_limit=timedelta(minutes=5),
    memory_limit_bytes=MEMORY_LIMIT_BYTES,
    retry=Retry(attempts=3, base=timedelta(seconds=2)),
)
async def generate(
    event: ReportRequested, job: Job, workshop: Workshop
) -> list[ReportReady | ReportFailed | EmailRequested] | Snooze:
    """Make the report, store it, and send it to whom it is for."""
    ended: ReportReady | ReportFailed
    try:
        ended = await workshop.make(event, now=datetime.now(UTC), tell=job.progress)
    except _CANNOT as why:
        if isinstance(why, NoSuchCustomer) and _is_young(job):
            return Snooze(timedelta(seconds=1))
        ended = _failed(event, str(why))
    return [ended, *mails_of(event, ended, attached_max=workshop.settings.report_mail_max)]


@handlers.on(DailyReportDue)
async def send_daily(event: DailyReportDue, settings: ReportSettings) -> list[ReportRequested]:
    """Ask for the reports about the day before the tick."""
    days = day_before(event.tick, settings.report_time_zone)
    return _ask(event, days, settings.report_daily, settings.report_email_to)


@handlers.on(WeeklyReportDue)
async def send_weekly(event: WeeklyReportDue, settings: ReportSettings) -> list[ReportRequested]:
    """Ask for the reports about the week before the tick, Monday to Sunday."""
    days = week_before(event.tick, settings.report_time_zone)
    return _ask(event, days, settings.report_weekly, settings.report_email_to)


@handlers.on(CleanupDue, time_limit=timedelta(minutes=30))
async def cleanup(event: CleanupDue, job: Job, shelf: Shelf) -> int:
    """Remove reports that are older than REPORT_TTL; the result is how many."""
    del event
    return await shelf.clear(tell=job.progress)


def _ask(
    tick: Tick, days: tuple[date, date], reports: Sequence[Scheduled], to: Sequence[str]
) -> list[ReportRequested]:
    """One question for each report; a tick that comes again asks under the same ids."""
    first_day, last_day = days
    instant = tick.tick.astimezone(UTC).isoformat()
    return [
        ReportRequested(
            report_id=str(uuid5(_SCHEDULED, f"{tick.type} {tick.schedule} {instant} {report}")),
            kind=report.kind,
            format=report.format,
            first_day=first_day,
            last_day=last_day,
            email_to=to[0] if to else None,
            copies_to=list(to[1:]),
        )
        for report in reports
    ]


def _failed(request: ReportRequested, reason: str) -> ReportFailed:
    return ReportFailed(
        report_id=request.report_id,
        kind=request.kind,
        format=request.format,
        first_day=request.first_day,
        last_day=request.last_day,
        user_id=request.user_id,
        reason=reason,
    )


def _is_young(job: Job) -> bool:
    return timedelta(0) <= datetime.now(UTC) - _said_at(job) < _PATIENCE


def _said_at(job: Job) -> datetime:
    """When the event came to be, by its own word."""
    said = job.envelope.attributes.get("time")
    return from_rfc3339(said) if said else datetime.now(UTC)
