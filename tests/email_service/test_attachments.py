"""Files that go along: their bytes as they are, within a size, waited for when they are not there."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from email_service.mail import Enclosure, Letter, Writer
from email_service.smtp import Mailer
from email_service.templates import Content, Unsendable
from shared.contracts import Attachment, EmailRequested, EmailSent
from shared.jobs import Reject
from shared.objects import ObjectMissing
from tests.email_service.conftest import Run, enclosures, running
from tests.email_service.scripted_relay import ScriptedRelay

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CSV = b"sku,name\nTEA-100,T\xc3\xa9\n"
PDF = b"%PDF-1.7\n.\r\n..\x00\xff" * 400
REPORT = EmailRequested(
    email_id="mail-9",
    to="bob@example.com",
    subject="Your report",
    text="It is attached.",
    html="<p>It is attached.</p>",
    attachments=[
        Attachment(key="reports/9.pdf", name="Jahresübersicht 2026.pdf", media_type="application/pdf"),
        Attachment(key="reports/9.csv", name="orders.csv", media_type="text/csv; charset=utf-8"),
    ],
)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/9.pdf").write_bytes(PDF)
    (tmp_path / "reports/9.csv").write_bytes(CSV)
    return tmp_path


@pytest.fixture
def run_with(writer: Writer, mailer: Mailer, engine: AsyncEngine, files: Path) -> Run:
    return running(writer, mailer, engine, "resend", enclosures(files))


async def test_files_go_along_as_they_are(run_with: Run, relay: ScriptedRelay) -> None:
    assert await run_with(REPORT) == EmailSent(email_id="mail-9", relay_id="Q0001")

    [mail] = relay.mails
    assert mail.get_content_type() == "multipart/mixed"
    pdf, csv = mail.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content_type()) == ("Jahresübersicht 2026.pdf", "application/pdf")
    assert (csv.get_filename(), csv["Content-Type"]) == ("orders.csv", 'text/csv; charset="utf-8"')
    assert (pdf.get_payload(decode=True), csv.get_payload(decode=True)) == (PDF, CSV)
    plain, rich = mail.get_body(["plain"]), mail.get_body(["html"])
    assert plain is not None
    assert rich is not None
    assert plain.get_content() == "It is attached.\n"


async def test_files_that_are_too_large_together_are_refused_before_they_are_read(
    writer: Writer, mailer: Mailer, engine: AsyncEngine, files: Path, relay: ScriptedRelay
) -> None:
    run = running(writer, mailer, engine, "resend", enclosures(files, largest=7_000))

    outcome = await run(REPORT)

    assert isinstance(outcome, Reject)
    assert "MAIL_SIZE_MAX allows 7,000" in outcome.reason
    assert relay.mails == []


async def test_a_mail_is_measured_as_it_goes_to_the_relay(
    writer: Writer, mailer: Mailer, engine: AsyncEngine, files: Path
) -> None:
    run = running(writer, mailer, engine, "resend", enclosures(files, largest=9_500))

    outcome = await run(REPORT)  # the files fit, with the headers and the text around them they do not

    assert isinstance(outcome, Reject)
    assert outcome.reason.startswith("the mail has ")


async def test_a_file_that_is_not_there_yet_is_waited_for(
    run_with: Run, files: Path, relay: ScriptedRelay
) -> None:
    (files / "reports/9.csv").rename(files / "later")

    with pytest.raises(ObjectMissing, match=r"reports/9\.csv"):
        await run_with(REPORT, attempt=1)
    (files / "later").rename(files / "reports/9.csv")

    assert isinstance(await run_with(REPORT, attempt=2), EmailSent)
    assert len(relay.mails) == 1


async def test_a_mail_that_was_sent_needs_its_files_no_more(
    run_with: Run, files: Path, relay: ScriptedRelay
) -> None:
    first = await run_with(REPORT, attempt=1)
    (files / "reports/9.pdf").unlink()

    assert await run_with(REPORT, attempt=2) == first
    assert len(relay.mails) == 1


@pytest.mark.parametrize("media_type", ["multipart/mixed; boundary=x", "message/rfc822"])
def test_what_looks_like_a_mail_is_no_part_of_ours(writer: Writer, media_type: str) -> None:
    letter = Letter(email_id="1", to="ada@example.com", content=Content("Hello", "Hi"))
    inner = b"Content-Type: text/html\r\n\r\n<b>--x--</b>"

    mail = writer.write(
        letter,
        job_id="j",
        trace_id=None,
        now=NOW,
        enclosures=[Enclosure("mail.eml", media_type, inner)],
    )

    assert b"Content-Type: application/octet-stream" in mail.content
    assert inner not in mail.content


def test_a_name_cannot_begin_another_header(writer: Writer) -> None:
    letter = Letter(email_id="1", to="ada@example.com", content=Content("Hello", "Hi"))

    with pytest.raises(Unsendable, match="attachment's name"):
        writer.write(
            letter,
            job_id="j",
            trace_id=None,
            now=NOW,
            enclosures=[Enclosure("a\r\nBcc: eve@example.com", "text/plain", b"")],
        )
