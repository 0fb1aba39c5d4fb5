"""The handlers of reports: what cannot be made fails with a reason, what can goes to whom it is for."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from report_service.cleanup import Shelf
from report_service.handlers import handlers
from report_service.settings import ReportSettings, Scheduled
from shared.contracts import (
    CleanupDue,
    DailyReportDue,
    EmailRequested,
    ReportFailed,
    ReportReady,
    ReportRequested,
    WeeklyReportDue,
    wrap,
)
from shared.jobs import State
from shared.settings import Secret
from shared.testing import Ran, Run
from tests.report_service.conftest import Making, asked

run = Run(handlers)
TICK = datetime(2026, 11, 23, 6, tzinfo=UTC)


async def generated(making: Making, request: ReportRequested) -> Ran:
    return await run(request, workshop=making.workshop)


def reason_of(job: Ran) -> str:
    assert job.state == State.SUCCEEDED
    failed = job.caused[0]
    assert isinstance(failed, ReportFailed)
    return failed.reason


def mails_of(job: Ran) -> list[EmailRequested]:
    return [event for event in job.caused if isinstance(event, EmailRequested)]


async def test_a_report_is_stored_announced_and_mailed_to_each_address_once(making: Making) -> None:
    request = asked(
        "orders_summary", "pdf", email_to="ada@example.com", copies_to=["Bob@example.com", "ADA@example.com"]
    )

    job = await generated(making, request)

    ready = job.caused[0]
    assert isinstance(ready, ReportReady)
    found = await making.workshop.objects.find(ready.file_key)
    assert found is not None
    assert found.size_bytes == ready.size_bytes
    mails = mails_of(job)
    assert [mail.to for mail in mails] == ["ada@example.com", "Bob@example.com"]
    assert len({mail.email_id for mail in mails}) == 2
    assert mails[0].subject == "Orders summary, 2026-11-01 to 2026-11-03"
    [attached] = mails[0].attachments
    assert (attached.key, attached.name) == (ready.file_key, "orders-summary-2026-11-01-2026-11-03.pdf")


async def test_a_second_run_asks_for_the_same_mails(making: Making) -> None:
    request = asked("orders_summary", "csv", email_to="ada@example.com")
    envelope = wrap(request, source="/test")

    first, second = [await run(envelope, workshop=making.workshop) for _ in range(2)]

    assert [event.id for event in first.envelopes] == [event.id for event in second.envelopes]
    assert mails_of(first) == mails_of(second)


async def test_progress_says_what_is_going_on(making: Making) -> None:
    job = await generated(making, asked("orders_summary", "json"))

    assert job.progress[0][2] == "reading"
    assert job.progress[-1] == (3, 3, "ready")


async def test_a_file_too_large_for_a_mail_is_named_in_it(making: Making) -> None:
    request = asked("orders_summary", "csv", email_to="ada@example.com")

    [mail] = mails_of(await generated(making.limited(report_mail_max=10), request))

    assert mail.attachments == []
    assert f"/v1/reports/{request.report_id}/content" in (mail.text or "")


async def test_too_many_rows_fail_with_the_limit_and_tell_who_waits(making: Making) -> None:
    request = asked("customer_statement", "csv", email_to="ada@example.com")

    job = await generated(making.limited(report_max_rows=4), request)

    assert reason_of(job) == "it has more than 4 rows; choose fewer days, or a format that holds more"
    assert "more than 4 rows" in (mails_of(job)[0].text or "")


async def test_a_pdf_has_a_lower_limit_of_rows(making: Making) -> None:
    limited = making.limited(report_max_pdf_rows=4)

    assert "more than 4 rows" in reason_of(await generated(limited, asked("customer_statement", "pdf")))
    assert isinstance((await generated(limited, asked("customer_statement", "xlsx"))).caused[0], ReportReady)


async def test_many_currencies_do_not_multiply_the_rows_past_the_limit(making: Making) -> None:
    job = await generated(making.limited(report_max_rows=5), asked("orders_summary"))

    assert "more than 5 rows" in reason_of(job)


async def test_a_database_that_is_too_slow_fails_the_report(making: Making) -> None:
    limited = making.limited(report_read_limit=timedelta(milliseconds=50))
    # The statement waits for the lock of this transaction; who is locked out is cancelled like who computes.
    async with making.workshop.engine.execution_options().connect() as held:
        await held.execute(text("LOCK TABLE report.orders IN ACCESS EXCLUSIVE MODE"))
        job = await generated(limited, asked("orders_summary"))

    assert reason_of(job) == "reading took longer than 0.05 s; choose fewer days"


async def test_too_many_days_fail(making: Making) -> None:
    job = await generated(making.limited(report_max_days=2), asked("orders_summary"))

    assert reason_of(job) == "3 days are more than the 2 that one report may be about"


async def test_a_customer_who_is_on_the_way_is_waited_for_and_then_unknown(making: Making) -> None:
    request = asked("customer_statement", user_id="nobody")
    now = datetime.now(UTC)

    young = await run(wrap(request, source="/t", now=now), workshop=making.workshop)
    old = await run(wrap(request, source="/t", now=now - timedelta(minutes=1)), workshop=making.workshop)

    assert (young.state, young.attempt) == (State.RETRYING, 0)
    assert reason_of(old) == "no user nobody has registered or ordered"


SETTINGS = ReportSettings(
    report_email_to=("boss@example.com", "cfo@example.com"),
    report_daily=(Scheduled("orders_summary", "pdf"),),
    files_url=Secret("file:///nowhere"),
)


async def test_the_daily_tick_asks_for_the_day_before() -> None:
    job = await run(DailyReportDue(schedule="daily_report", tick=TICK), settings=SETTINGS)

    [request] = job.caused
    assert isinstance(request, ReportRequested)
    assert (str(request.first_day), str(request.last_day)) == ("2026-11-22", "2026-11-22")
    assert (request.email_to, request.copies_to) == ("boss@example.com", ["cfo@example.com"])


async def test_the_weekly_tick_asks_for_each_report_under_an_id_of_its_tick() -> None:
    tick = WeeklyReportDue(schedule="weekly_report", tick=TICK)

    first, again = [await run(tick, settings=SETTINGS) for _ in range(2)]
    later = await run(tick.model_copy(update={"tick": TICK + timedelta(weeks=1)}), settings=SETTINGS)

    ids = [_ids(job) for job in (first, again, later)]
    assert ids[0] == ids[1]
    assert len({*ids[0], *ids[2]}) == 4
    assert {str(_days(event)) for event in first.caused} == {"('2026-11-16', '2026-11-22')"}


async def test_without_addresses_the_report_is_only_stored() -> None:
    settings = SETTINGS.model_copy(update={"report_email_to": ()})

    job = await run(DailyReportDue(schedule="daily_report", tick=TICK), settings=settings)

    [request] = job.caused
    assert isinstance(request, ReportRequested)
    assert (request.email_to, request.copies_to) == (None, [])


@pytest.mark.parametrize(("keep", "removed"), [(timedelta(microseconds=1), 1), (timedelta(days=1), 0)])
async def test_cleanup_removes_reports_that_are_too_old(
    making: Making, keep: timedelta, removed: int
) -> None:
    objects = making.workshop.objects
    await objects.put_bytes("files/f1/content", b"not a report")
    ready = await making.ready("orders_summary", "csv")

    job = await run(CleanupDue(schedule="cleanup", tick=TICK), shelf=Shelf(objects, keep=keep))

    assert job.result == removed
    assert (await objects.find(ready.file_key) is None) is bool(removed)
    assert await objects.find("files/f1/content") is not None


def _ids(job: Ran) -> list[str]:
    return [json.loads(envelope.data)["report_id"] for envelope in job.envelopes]


def _days(event: Any) -> tuple[str, str]:
    return str(event.first_day), str(event.last_day)
