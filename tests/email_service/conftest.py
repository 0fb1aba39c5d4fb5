"""A scripted relay, a mailer that talks to it, and a way to run one attempt of a job as the service would."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from email_service.enclosures import Enclosures
from email_service.handlers import Outcome, PostOffice, send, send_welcome
from email_service.mail import Letter, Letterhead, Mail, Writer, mailbox
from email_service.mailbook import MailBook, OnUnknown
from email_service.relay import Limits, RelayAddress
from email_service.smtp import Mailer
from email_service.tables import messages
from email_service.templates import Templates
from shared.contracts import EmailRequested, Event, UserRegistered, new_id, wrap
from shared.db import DatabaseUrl, connect
from shared.jobs import Job
from shared.objects import Objects
from shared.settings import Secret
from shared.telemetry import Tracing, get_logger
from tests.email_service.scripted_relay import ScriptedRelay, scripted_relay

NO_FILES = Path(tempfile.gettempdir()) / "trunkline-no-files"
TEMPLATES = Path("email_service/templates")
LIMITS = Limits(
    connections=2,
    connect=timedelta(seconds=2),
    command=timedelta(seconds=2),
    offer=timedelta(seconds=3),
    answer=timedelta(seconds=2),
    hello="trunkline.localhost",
)
EVENT_ID = "01920000-0000-7000-8000-000000000001"
ADA = UserRegistered(user_id="7", name="Ada Lovelace", email="ada@example.com")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Services run on uvloop. When a lost connection shows depends on the loop: test_smtp tries both."""
    del config
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    if item.path.stem == "test_smtp":
        factories["asyncio"] = asyncio.new_event_loop
    return factories


@dataclass
class Run:
    """Runs one attempt of a job, always of the same event unless told otherwise."""

    office: PostOffice
    engine: AsyncEngine

    async def __call__(
        self, event: UserRegistered | EmailRequested = ADA, *, attempt: int = 1, event_id: str = EVENT_ID
    ) -> Outcome:
        if isinstance(event, UserRegistered):
            return await send_welcome(event, job("email.send_welcome", event, attempt, event_id), self.office)
        return await send(event, job("email.send", event, attempt, event_id), self.office)

    async def row(self) -> dict[str, object]:
        """The one row of the book."""
        async with self.engine.connect() as connection:
            return dict((await connection.execute(select(messages))).mappings().one())


def job(handler: str, event: Event, attempt: int, event_id: str = EVENT_ID) -> Job:
    async def nobody_listens(_done: float, _total: float, _note: str) -> None: ...

    return Job(
        id=f"{handler}:{event_id}",
        handler=handler,
        attempt=attempt,
        envelope=wrap(event, source="/test", id=event_id),
        deadline=datetime.now(UTC) + timedelta(minutes=1),
        log=get_logger(),
        tell_progress=nobody_listens,
    )


def a_mail(to: str = "ada@example.com", text: str = "Hello") -> Mail:
    return Mail(
        message_id=f"<{new_id()}@trunkline.localhost>",
        sender="no-reply@trunkline.localhost",
        to=to,
        content=f"Subject: x\r\n\r\n{text}\r\n".encode(),
    )


@pytest.fixture
def templates() -> Templates:
    return Templates(TEMPLATES)


@pytest.fixture
def writer(templates: Templates) -> Writer:
    sender = mailbox("Trunkline <no-reply@trunkline.localhost>")
    return Writer(Letterhead(sender, "trunkline.localhost"), templates)


@pytest.fixture
async def relay() -> AsyncGenerator[ScriptedRelay]:
    async with scripted_relay() as relay:
        yield relay


@pytest.fixture
async def mailer(relay: ScriptedRelay) -> AsyncGenerator[Mailer]:
    async with Mailer(RelayAddress.parse(relay.url), tracing=Tracing(), limits=LIMITS) as mailer:
        yield mailer


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    engine = connect(DatabaseUrl(database_url), service="email", pool_size=2)
    yield engine
    await engine.dispose()


@pytest.fixture
def run(writer: Writer, mailer: Mailer, engine: AsyncEngine) -> Run:
    return running(writer, mailer, engine, "resend")


@pytest.fixture
def run_with_hold(writer: Writer, mailer: Mailer, engine: AsyncEngine) -> Run:
    return running(writer, mailer, engine, "hold")


def running(
    writer: Writer,
    mailer: Mailer,
    engine: AsyncEngine,
    on_unknown: OnUnknown,
    files: Enclosures | None = None,
) -> Run:
    return Run(
        PostOffice(writer, MailBook(engine, on_unknown=on_unknown), mailer, files or enclosures(NO_FILES)),
        engine,
    )


def enclosures(folder: Path, *, largest: int = 20 * 1024 * 1024) -> Enclosures:
    """Attachments that lie in this folder."""
    return Enclosures(Objects(Secret(folder.as_uri())), largest=largest)


def written(
    writer: Writer,
    letter: Letter,
    *,
    job_id: str = f"email.send:{EVENT_ID}",
    trace_id: str | None = None,
) -> Mail:
    return writer.write(letter, job_id=job_id, trace_id=trace_id, now=datetime.now(UTC))
