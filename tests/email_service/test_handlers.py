"""What becomes of a job: sent, bounced, postponed, refused or tried again, and what the book says of it."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from traceback import format_exception

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from email_service.handlers import PATIENCE, TIME_LIMIT, handlers
from email_service.mail import Writer
from email_service.mailbook import MailBook, Sending, Superseded
from email_service.relay import DeliveryUnknown, RelayAddress, RelayBusy, RelayUnavailable
from email_service.smtp import Mailer
from shared.contracts import EmailBounced, EmailRequested, EmailSent
from shared.jobs import Reject, Snooze
from shared.telemetry import Tracing
from tests.email_service.conftest import ADA, EVENT_ID, LIMITS, Run, a_mail, job, running
from tests.email_service.scripted_relay import CONTENT, Gate, ScriptedRelay, take_and_hang_up

NOTICE = EmailRequested(
    email_id="mail-1",
    to="bob@example.com",
    template="notice",
    fields={"title": "Your report is ready", "text": "It can be fetched for 30 days."},
)
OWN_WORDS = EmailRequested(email_id="mail-2", to="bob@example.com", subject="Hello", text="Good day,\nBob")


@pytest.fixture
async def lost_relay(relay: ScriptedRelay, unused_tcp_port: int) -> AsyncGenerator[Mailer]:
    del relay
    address = RelayAddress.parse(f"smtp://127.0.0.1:{unused_tcp_port}")
    async with Mailer(address, tracing=Tracing(), limits=LIMITS) as mailer:
        yield mailer


async def test_a_new_user_gets_a_welcome(run: Run, relay: ScriptedRelay) -> None:
    outcome = await run(ADA)

    assert outcome == EmailSent(email_id=EVENT_ID, relay_id="Q0001")
    [mail] = relay.mails
    assert relay.recipients == [["ada@example.com"]]
    assert mail["To"] == "Ada Lovelace <ada@example.com>"
    assert mail["Subject"] == "Welcome, Ada Lovelace"
    assert mail["Message-ID"] == f"<email.send_welcome.{EVENT_ID}@trunkline.localhost>"
    plain, rich = mail.get_body(["plain"]), mail.get_body(["html"])
    assert plain is not None
    assert rich is not None
    assert "Hello Ada Lovelace," in plain.get_content()
    assert "Welcome, Ada Lovelace</h1>" in rich.get_content()


async def test_a_requested_mail_is_written_by_its_template(run: Run, relay: ScriptedRelay) -> None:
    assert await run(NOTICE) == EmailSent(email_id="mail-1", relay_id="Q0001")

    assert relay.mails[0]["Subject"] == "Your report is ready"


async def test_a_requested_mail_may_have_words_of_its_own(run: Run, relay: ScriptedRelay) -> None:
    assert await run(OWN_WORDS) == EmailSent(email_id="mail-2", relay_id="Q0001")

    [mail] = relay.mails
    assert (mail["Subject"], mail.get_content_type()) == ("Hello", "text/plain")
    assert mail.get_content() == "Good day,\nBob\n"


async def test_the_book_knows_the_mail_and_not_the_address(run: Run) -> None:
    await run(ADA)

    row = await run.row()
    assert row["state"] == "sent"
    assert row["relay_id"] == "Q0001"
    assert row["sent_at"] is not None
    assert "ada@example.com" not in str(row)


async def test_a_job_that_runs_again_after_its_mail_was_sent_sends_no_second(
    run: Run, relay: ScriptedRelay
) -> None:
    first = await run(ADA, attempt=1)

    second = await run(ADA, attempt=2)

    assert second == first
    assert len(relay.mails) == 1


async def test_a_refused_mail_bounces_with_the_words_of_the_relay_and_is_not_sent_again(
    run: Run, relay: ScriptedRelay
) -> None:
    relay.answer("RCPT", "550 5.1.1 there is no such mailbox")

    first = await run(ADA, attempt=1)
    second = await run(ADA, attempt=2)

    assert first == EmailBounced(email_id=EVENT_ID, reason="550 5.1.1 there is no such mailbox")
    assert second == first
    assert relay.commands.count("RCPT") == 1


async def test_a_relay_that_repeats_the_recipient_does_not_make_us_keep_the_address(
    run: Run, relay: ScriptedRelay
) -> None:
    relay.answer("RCPT", "451 4.2.1 <ada@example.com>: later", "550 5.1.1 <ada@example.com>: unknown")

    with pytest.raises(RelayBusy) as busy:
        await run(ADA, attempt=1)
    outcome = await run(ADA, attempt=2)

    assert outcome == EmailBounced(email_id=EVENT_ID, reason="550 5.1.1 <[address]>: unknown")
    assert "ada@example.com" not in str(await run.row())
    assert "ada@example.com" not in "".join(format_exception(busy.value))


async def test_a_busy_relay_without_a_named_wait_is_left_to_the_retry_policy(
    run: Run, relay: ScriptedRelay
) -> None:
    relay.answer("RCPT", "451 4.3.2 the mailbox is busy, try again later")

    with pytest.raises(RelayBusy):
        await run(ADA, attempt=1)

    assert (await run.row())["state"] == "failed"
    assert isinstance(await run(ADA, attempt=2), EmailSent)


async def test_a_busy_relay_that_names_a_wait_postpones_the_job(run: Run, relay: ScriptedRelay) -> None:
    relay.answer("RCPT", "450 4.2.0 greylisted, try again in 5 minutes")

    assert await run(ADA) == Snooze(timedelta(minutes=5))
    # A postponed attempt is not counted, so the next one has its number.
    assert isinstance(await run(ADA), EmailSent)


async def test_a_relay_that_is_busy_for_a_day_is_waited_for_no_longer(run: Run, relay: ScriptedRelay) -> None:
    relay.answer("RCPT", *["450 4.2.0 greylisted, try again in 5 minutes"] * 2)
    await run(ADA)
    await _age(run.engine, created=PATIENCE)

    with pytest.raises(RelayBusy):
        await run(ADA)


async def test_an_unreachable_relay_fails_the_attempt_and_leaves_nothing_unknown(
    writer: Writer, lost_relay: Mailer, engine: AsyncEngine
) -> None:
    run = running(writer, lost_relay, engine, "hold")

    with pytest.raises(RelayUnavailable):
        await run(ADA, attempt=1)

    assert (await run.row())["state"] == "failed"
    # The relay is left alone for a while, which is no fault of this mail.
    assert isinstance(await run(ADA, attempt=2), Snooze)


async def test_a_lost_answer_means_a_second_copy_with_the_same_id_and_a_warning(
    run: Run, relay: ScriptedRelay
) -> None:
    relay.answer(CONTENT, take_and_hang_up)
    with pytest.raises(DeliveryUnknown):
        await run(ADA, attempt=1)

    with capture_logs() as logs:
        outcome = await run(ADA, attempt=2)

    assert isinstance(outcome, EmailSent)
    assert relay.mails[0]["Message-ID"] == relay.mails[1]["Message-ID"]
    assert [line["event"] for line in logs] == ["mail.unknown_outcome"]


async def test_a_lost_answer_with_hold_waits_for_a_person(run_with_hold: Run, relay: ScriptedRelay) -> None:
    relay.answer(CONTENT, take_and_hang_up)
    with pytest.raises(DeliveryUnknown):
        await run_with_hold(ADA, attempt=1)

    with capture_logs() as logs:
        outcome = await run_with_hold(ADA, attempt=2)

    assert isinstance(outcome, Reject)
    assert "MAIL_UNKNOWN is hold" in outcome.reason
    assert len(relay.mails) == 1
    assert [line["event"] for line in logs] == ["mail.unknown_outcome"]


async def test_a_person_releases_a_held_mail_by_the_words_of_its_reason(
    run_with_hold: Run, relay: ScriptedRelay
) -> None:
    relay.answer(CONTENT, take_and_hang_up)
    with pytest.raises(DeliveryUnknown):
        await run_with_hold(ADA, attempt=5)
    async with run_with_hold.engine.begin() as connection:
        await connection.execute(text("UPDATE email.messages SET state = 'failed'"))

    assert isinstance(await run_with_hold(ADA, attempt=1), EmailSent)


async def test_hold_is_no_hindrance_to_a_mail_that_the_relay_refused_for_now(
    run_with_hold: Run, relay: ScriptedRelay
) -> None:
    relay.answer(CONTENT, "451 4.3.0 disk full")
    with pytest.raises(RelayBusy):
        await run_with_hold(ADA, attempt=1)

    assert isinstance(await run_with_hold(ADA, attempt=2), EmailSent)
    assert len(relay.mails) == 1


async def test_a_death_between_the_relays_yes_and_our_note_is_an_unknown_outcome(
    run: Run, relay: ScriptedRelay
) -> None:
    class Dying(MailBook):
        async def sent(self, sending: Sending, relay_id: str) -> bool:
            del sending, relay_id
            raise asyncio.CancelledError

    dying = Run(replace(run.office, book=Dying(run.engine, on_unknown="resend")), run.engine)
    with pytest.raises(asyncio.CancelledError):
        await dying(ADA, attempt=1)
    assert (await run.row())["state"] == "sending"

    with capture_logs() as logs:
        assert isinstance(await run(ADA, attempt=2), EmailSent)

    assert len(relay.mails) == 2
    assert [line["event"] for line in logs] == ["mail.unknown_outcome"]


async def test_an_attempt_that_is_stopped_while_the_relay_thinks_is_an_unknown_outcome(
    run_with_hold: Run, relay: ScriptedRelay
) -> None:
    slow = Gate("250 ok")
    relay.answer(CONTENT, slow)
    attempt = asyncio.create_task(run_with_hold(ADA, attempt=1))
    await slow.reached.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt

    assert isinstance(await run_with_hold(ADA, attempt=1), Reject)


async def test_an_older_attempt_that_wakes_up_late_does_not_send(run: Run, relay: ScriptedRelay) -> None:
    slow = Gate("250 ok")
    relay.answer(CONTENT, slow)
    newer = asyncio.create_task(run(ADA, attempt=2))
    await slow.reached.wait()

    with pytest.raises(Superseded):
        await run(ADA, attempt=1)

    slow.opened.set()
    assert isinstance(await newer, EmailSent)
    assert len(relay.mails) == 1


async def test_an_older_attempt_does_not_write_over_a_newer_one(run: Run) -> None:
    book, mail = run.office.book, a_mail()
    older = await book.enter(job("email.send", NOTICE, 1), mail, time_limit=TIME_LIMIT)
    newer = await book.enter(job("email.send", NOTICE, 2), mail, time_limit=TIME_LIMIT)
    assert isinstance(older, Sending)
    assert isinstance(newer, Sending)

    assert not await book.failed(older, "too late")
    assert await book.sent(newer, "Q0001")
    assert not await book.bounced(older, "too late")

    assert (await run.row())["state"] == "sent"


async def test_a_replayed_job_counts_from_one_again_and_is_sent(run: Run, relay: ScriptedRelay) -> None:
    relay.answer(CONTENT, take_and_hang_up)
    with pytest.raises(DeliveryUnknown):
        await run(ADA, attempt=5)
    await _age(run.engine, updated=TIME_LIMIT)

    assert isinstance(await run(ADA, attempt=1), EmailSent)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (NOTICE.model_copy(update={"template": "invoice"}), "unknown template 'invoice'; known are: notice"),
        (NOTICE.model_copy(update={"fields": {"title": "x"}}), "'text' is undefined"),
        (NOTICE.model_copy(update={"fields": {"title": "x\r\nBcc: eve@x", "text": "y"}}), "subject"),
        (OWN_WORDS.model_copy(update={"subject": "x\nBcc: eve@example.com"}), "subject"),
        (OWN_WORDS.model_copy(update={"to": "a@example.com,b@example.com"}), "not one mail address"),
        (ADA.model_copy(update={"name": "Ada\r\nBcc: eve@example.com"}), "recipient's name"),
        (ADA.model_copy(update={"email": "ada@example.com\r\nRCPT TO:<eve@x>"}), "recipient"),
    ],
)
async def test_what_can_never_be_a_mail_is_refused_at_once(
    run: Run, relay: ScriptedRelay, event: EmailRequested, reason: str
) -> None:
    outcome = await run(event)

    assert isinstance(outcome, Reject)
    assert reason in outcome.reason
    assert relay.commands == []


def test_the_time_limit_covers_the_longest_waits_for_a_relay() -> None:
    longest_answer = timedelta(minutes=10)

    for handler in handlers:
        assert handler.time_limit > LIMITS.offer + longest_answer


def test_the_handlers_have_the_names_that_others_rely_on() -> None:
    assert [handler.name for handler in handlers] == [
        "email.send_welcome",
        "email.send",
        "email.send_order_confirmation",
        "email.send_order_rejection",
        "email.cleanup",
    ]


async def _age(
    engine: AsyncEngine, *, created: timedelta = timedelta(0), updated: timedelta = timedelta(0)
) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE email.messages SET created_at = created_at - CAST(:created AS interval),"
                " updated_at = updated_at - CAST(:updated AS interval)"
            ),
            {"created": created, "updated": updated},
        )
