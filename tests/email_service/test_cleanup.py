"""Mails that came to their end long ago are forgotten, those of unknown outcome never."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from email_service.handlers import PostOffice, cleanup
from email_service.mail import Writer
from email_service.mailbook import MailBook
from email_service.smtp import Mailer
from shared.contracts import CleanupDue
from tests.email_service.conftest import NO_FILES, enclosures, job

ROWS = text("""
    INSERT INTO email.messages
        (job_id, event_id, message_id, recipient_sha256, state, attempt, run, updated_at)
    SELECT state || days || n, 'e', 'm', 'r', state, 1, 1, now() - days * interval '1 day'
    FROM unnest(ARRAY['sending', 'sent', 'bounced', 'failed']) AS state, unnest(ARRAY[29, 31]) AS days,
        generate_series(1, 5) AS n
""")
LEFT = text(
    "SELECT DISTINCT state, now() - updated_at > interval '30 days' FROM email.messages ORDER BY 1, 2"
)


async def test_a_mail_is_forgotten_when_its_time_is_over(
    writer: Writer, mailer: Mailer, engine: AsyncEngine
) -> None:
    async with engine.begin() as connection:
        await connection.execute(ROWS)
    book = MailBook(engine, on_unknown="resend", kept=timedelta(days=30), batch=4)
    office = PostOffice(writer, book, mailer, enclosures(NO_FILES))
    tick = CleanupDue(schedule="cleanup", tick=datetime.now(UTC))

    removed = await cleanup(tick, job("email.cleanup", tick, 1), office)

    assert removed == {"messages": 15}
    async with engine.connect() as connection:
        left = [tuple(row) for row in await connection.execute(LEFT)]
    assert left == [
        ("bounced", False),
        ("failed", False),
        ("sending", False),
        ("sending", True),
        ("sent", False),
    ]
