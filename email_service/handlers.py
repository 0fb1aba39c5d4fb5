"""What the email service takes and gives: who is to be told what in; EmailSent, EmailBounced out.

UserRegistered, OrderCreated, InventoryRejected, EmailRequested: a mail. CleanupDue: what is old goes.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from email_service.enclosures import Enclosures
from email_service.mail import Letter, Mail, Writer
from email_service.mailbook import Bounced, Held, MailBook, Sending, Sent
from email_service.order_letters import confirmation, rejection
from email_service.relay import DeliveryUnknown, MailRefused, RelayBusy, RelayError
from email_service.smtp import Mailer
from email_service.templates import Content, Unsendable
from shared.contracts import (
    CleanupDue,
    EmailBounced,
    EmailRequested,
    EmailSent,
    InventoryRejected,
    OrderCreated,
    UserRegistered,
)
from shared.jobs import Handlers, Job, Reject, Retry, Snooze
from shared.telemetry import current_traceparent, trace_id_of

TIME_LIMIT = timedelta(minutes=11)
"""More than the longest waits for a relay together: 20 s until it wants the content, then at most 10 min."""

PATIENCE = timedelta(hours=24)
"""For how long a busy relay postpones a mail without costing it an attempt."""

CONCURRENCY = 8
"""As SMTP_POOL_SIZE by default: a job that waits for a connection holds a place and does nothing."""

# A relay that restarts is back within minutes: the five attempts spread over about seven of them at most.
RETRY = Retry(attempts=5, base=timedelta(seconds=5), factor=4, cap=timedelta(minutes=10))

Outcome = EmailSent | EmailBounced | Snooze | Reject


@dataclass(frozen=True, slots=True)
class PostOffice:
    """What a mail passes through: its files, its writer, the book that it is entered in, the relay."""

    writer: Writer
    book: MailBook
    mailer: Mailer
    enclosures: Enclosures


handlers = Handlers("email")


@handlers.on(UserRegistered, retry=RETRY, time_limit=TIME_LIMIT, concurrency=CONCURRENCY)
async def send_welcome(event: UserRegistered, job: Job, office: PostOffice) -> Outcome:
    """Welcome who has an account now; the mail's id is the event's."""
    letter = Letter(
        email_id=job.event_id,
        to=event.email,
        to_name=event.name,
        template="welcome",
        fields={"name": event.name},
    )
    return await deliver(letter, job, office)


@handlers.on(EmailRequested, retry=RETRY, time_limit=TIME_LIMIT, concurrency=CONCURRENCY)
async def send(event: EmailRequested, job: Job, office: PostOffice) -> Outcome:
    """Send what was asked for, by a template or in the sender's own words."""
    own_words = event.subject is not None and event.text is not None
    letter = Letter(
        email_id=event.email_id,
        to=event.to,
        template=event.template,
        fields=dict(event.fields),
        content=Content(event.subject or "", event.text or "", event.html) if own_words else None,
        attachments=event.attachments,
    )
    return await deliver(letter, job, office)


@handlers.on(OrderCreated, retry=RETRY, time_limit=TIME_LIMIT, concurrency=CONCURRENCY)
async def send_order_confirmation(event: OrderCreated, job: Job, office: PostOffice) -> Outcome:
    """Tell who ordered that we have the order; the mail's id is the event's."""
    return await deliver(confirmation(event, email_id=job.event_id), job, office)


@handlers.on(InventoryRejected, retry=RETRY, time_limit=TIME_LIMIT, concurrency=CONCURRENCY)
async def send_order_rejection(event: InventoryRejected, job: Job, office: PostOffice) -> Outcome | None:
    """Tell who ordered what there is too little of; None when the event does not say who it was."""
    if event.email is None:
        job.log.info("mail.nobody_to_tell", order_id=event.order_id)
        return None
    return await deliver(rejection(event, to=event.email, email_id=job.event_id), job, office)


@handlers.on(CleanupDue, time_limit=timedelta(minutes=30), concurrency=1, total_concurrency=1)
async def cleanup(event: CleanupDue, job: Job, office: PostOffice) -> dict[str, int]:
    """Forget mails that were sent, refused or given up long ago; returns how many."""
    del event
    removed = {"messages": await office.book.forget()}
    job.log.info("email.cleaned_up", **removed)
    return removed


async def deliver(letter: Letter, job: Job, office: PostOffice) -> Outcome:
    """Hand the letter to the relay, once as far as anybody can know; other errors are retried by policy.

    A second run of a job whose mail was sent or bounced returns what was recorded and sends nothing.
    """
    if not letter.attachments:
        return await _deliver(letter, job, office)
    if known := await office.book.settled(job):
        return _settled(known, letter, job)  # its files may be gone by now
    async with office.enclosures.turns:
        return await _deliver(letter, job, office)


async def _deliver(letter: Letter, job: Job, office: PostOffice) -> Outcome:
    try:
        mail = await _written(letter, job, office)
    except Unsendable as fault:
        return Reject(str(fault))

    entered = await office.book.enter(job, mail, time_limit=TIME_LIMIT)
    if not isinstance(entered, Sending):
        return _settled(entered, letter, job)
    if entered.unknown:
        job.log.warning("mail.unknown_outcome", message_id=mail.message_id, decision="resend")
    return await _send(mail, entered, letter, job, office)


async def _send(mail: Mail, sending: Sending, letter: Letter, job: Job, office: PostOffice) -> Outcome:
    try:
        relay_id = await office.mailer.send(mail)
    except DeliveryUnknown:
        raise  # the row stays `sending`: so the next attempt finds it, and MAIL_UNKNOWN decides
    except MailRefused as refused:
        await office.book.bounced(sending, refused.line)
        return EmailBounced(email_id=letter.email_id, reason=refused.line)
    except RelayError as error:
        await office.book.failed(sending, str(error))
        return _postpone(error, sending)
    if not await office.book.sent(sending, relay_id):
        job.log.warning("mail.sent_beside_a_later_attempt", message_id=mail.message_id)
    return EmailSent(email_id=letter.email_id, relay_id=relay_id)


async def _written(letter: Letter, job: Job, office: PostOffice) -> Mail:
    """The mail with its files. Unsendable says what is wrong; a file that is missing is waited for."""
    write = partial(
        office.writer.write,
        letter,
        job_id=job.id,
        trace_id=trace_id_of(current_traceparent() or job.envelope.traceparent),
        now=datetime.now(UTC),
    )
    if letter.attachments:
        # Encoding some megabytes takes a good part of a second, in which other jobs go on.
        enclosures = await office.enclosures.read(letter.attachments)
        mail = await asyncio.to_thread(write, enclosures=enclosures)
    else:
        mail = write()
    if len(mail.content) > office.enclosures.largest:
        raise Unsendable(
            f"the mail has {len(mail.content):,} bytes; MAIL_SIZE_MAX allows {office.enclosures.largest:,}"
        )
    return mail


def _postpone(error: RelayError, sending: Sending) -> Snooze:
    """Wait as the relay says where it says so; else raise the error, for the retry policy."""
    patient = datetime.now(UTC) - sending.created_at < PATIENCE
    if isinstance(error, RelayBusy) and error.retry_after is not None and patient:
        return Snooze(error.retry_after)
    raise error


def _settled(known: Sent | Bounced | Held, letter: Letter, job: Job) -> EmailSent | EmailBounced | Reject:
    """What an earlier run of the job has left to say; nothing is sent."""
    match known:
        case Sent(relay_id):
            return EmailSent(email_id=letter.email_id, relay_id=relay_id)
        case Bounced(reason):
            return EmailBounced(email_id=letter.email_id, reason=reason)
        case Held(since):
            job.log.warning("mail.unknown_outcome", decision="hold")
            return Reject(
                f"nobody knows whether the relay took this mail at {since:%Y-%m-%d %H:%M:%S} UTC, and "
                "MAIL_UNKNOWN is hold: look into the relay's log; to send it again, set its row in "
                "email.messages to 'failed' and replay the job"
            )
