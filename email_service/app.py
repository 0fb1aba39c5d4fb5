"""The composition root: `faststream run email_service.app:app` and `python -m email_service` run it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

from email_service.enclosures import Enclosures
from email_service.handlers import PostOffice, handlers
from email_service.mail import Letterhead, Writer, mailbox
from email_service.mailbook import MailBook
from email_service.settings import EmailSettings
from email_service.smtp import Mailer
from email_service.templates import Templates
from shared.db import connect
from shared.objects import Objects
from shared.service import Service
from shared.telemetry import Tracing, trace_statements

settings = EmailSettings.load()


@asynccontextmanager
async def resources(tracing: Tracing) -> AsyncGenerator[tuple[object, ...]]:
    """What the handlers ask for; closed when the last job has ended."""
    engine = connect(settings.database_url, service="email", pool_size=settings.database_pool_size)
    trace_statements(engine.sync_engine, tracing)
    book = MailBook(engine, on_unknown=settings.mail_unknown, kept=settings.mail_kept)
    enclosures = Enclosures(Objects(settings.files_url), largest=settings.mail_size_max)
    letterhead = Letterhead(sender=mailbox(settings.mail_from), domain=settings.mail_domain)
    writer = Writer(letterhead, Templates(Path(str(files("email_service") / "templates"))))
    try:
        async with Mailer(settings.relay, tracing=tracing, limits=settings.limits) as mailer:
            yield (PostOffice(writer, book, mailer, enclosures),)
    finally:
        await engine.dispose()


app = Service("email", handlers, settings, resources=resources)
