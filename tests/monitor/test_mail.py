"""Mails from a Maildir: read, taken apart, and none of them able to do harm."""

from email.message import EmailMessage
from pathlib import Path

import pytest

from monitor.mail import maildir
from monitor.mail.headers import LONGEST, decoded, text_of
from monitor.mail.mailbox import Mailbox
from monitor.mail.message import disposition, job_of, mail_of
from tests.monitor.mails import PNG, hostile, keep, letter


def test_a_letter_is_taken_apart() -> None:
    mail = mail_of(letter().as_bytes())

    assert mail.named["subject"] == "Zażółć ✓"
    assert mail.text.strip() == "Plain: ąęść"
    assert "<h1>Hello</h1>" in mail.html
    assert [(part.name, part.type) for part in mail.attachments] == [
        ("part-3.png", "image/png"),
        ("raport „2026”.pdf", "application/pdf"),
    ]
    assert mail.attachments[0].content == PNG
    assert mail.job_id == "email.send:0192f3a0-0000-7000-8000-000000000001"
    assert mail.faults == []


def test_images_that_came_along_stand_in_the_html_and_nothing_else_is_named_in_it() -> None:
    mail = mail_of(letter().as_bytes())

    assert 'src="data:image/png;base64,' in mail.html
    assert 'src="about:blank"' in mail.html
    assert "cid:" not in mail.html


def test_the_job_is_found_by_our_message_id_too() -> None:
    ours = "<email.send_welcome.01a2076e-b419-71af-9592-fa9643e90a4a@trunkline.localhost>"

    assert job_of({"x-trunkline-job": "", "message-id": ours}) == (
        "email.send_welcome:01a2076e-b419-71af-9592-fa9643e90a4a"
    )
    assert job_of({"x-trunkline-job": "", "message-id": "<CAF=x@mail.example.com>"}) == ""


@pytest.mark.parametrize(("name", "content"), hostile().items(), ids=hostile())
async def test_whatever_comes_is_shown_as_what_it_is(name: str, content: bytes, tmp_path: Path) -> None:
    keep(tmp_path, name, content)
    mailbox = Mailbox(tmp_path)

    [summary] = await mailbox.newest()
    found = await mailbox.mail(name)

    assert found is not None
    _, mail = found
    shown = [summary.subject, mail.text, mail.html, *(value for pair in mail.headers for value in pair)]
    assert all(len(value) <= 2_000_000 for value in shown)
    "".join([*shown, *mail.faults, *(part.name for part in mail.attachments)]).encode()  # it can be sent


def test_a_mail_that_says_it_has_parts_and_has_none_shows_what_is_in_it() -> None:
    mail = mail_of(hostile()["hollow"])

    assert "nothing here" in mail.text
    assert "start boundary not found" in mail.faults


def test_a_mail_nested_deeper_than_can_be_read_is_shown_as_it_came() -> None:
    mail = mail_of(hostile()["deep"])

    assert "cannot be taken apart" in mail.faults[0]
    assert mail.text.startswith("Content-Type: multipart/mixed")


def test_headers_become_one_line_that_says_what_it_seems_to_say() -> None:
    assert text_of("=?utf-8?q?Za=C5=BC=C3=B3=C5=82=C4=87?= and\n more") == "Zażółć and more"
    assert text_of("=?nobody-knows?q?a=FFb?=") == "a\N{REPLACEMENT CHARACTER}b"
    assert text_of("invoice \u202efdp.exe") == "invoice \N{REPLACEMENT CHARACTER}fdp.exe"
    assert len(text_of("a" * 10_000_000)) < LONGEST + 10
    assert decoded(rb"\ud800", "raw_unicode_escape") == "?"


def test_a_name_of_a_file_has_no_folders_and_ends_no_header() -> None:
    mail = mail_of(letter(file_name='../../etc/"pass"\\wd\r\nX: 1.pdf').as_bytes())

    name = mail.attachments[-1].name
    assert "/" not in name
    assert "\\" not in name
    assert not {"\r", "\n"} & set(disposition(name))
    assert disposition('ż".pdf') == "attachment; filename=\"__.pdf\"; filename*=UTF-8''%C5%BC%22.pdf"


def test_only_mails_of_the_maildir_are_found_by_id(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("Subject: secret\n\n")
    keep(tmp_path, "1.a", b"Subject: a\n\n")
    (tmp_path / "new" / "2.link").symlink_to(tmp_path / "secret")
    (tmp_path / "new" / "3.folder").mkdir()
    (tmp_path / "new" / ".hidden").write_bytes(b"")

    assert [id_ for id_, _ in maildir.newest(tmp_path, 10)] == ["1.a"]
    for mail_id in ("../secret", "2.link", "3.folder", ".hidden", "", "..", "1.a/", "new/1.a", "\0"):
        assert maildir.find(tmp_path, mail_id) is None


def test_a_mail_keeps_its_id_when_it_is_marked_as_seen(tmp_path: Path) -> None:
    keep(tmp_path, "1.a", b"Subject: a\n\n")
    (tmp_path / "new" / "1.a").rename(tmp_path / "cur" / "1.a:2,S")

    found = maildir.find(tmp_path, "1.a")

    assert found is not None
    assert maildir.read(found, 100) == b"Subject: a\n\n"


def test_the_newest_come_first_and_no_more_than_asked_for(tmp_path: Path) -> None:
    for number in range(5):
        keep(tmp_path, f"{number:020d}.x", b"Subject: x\n\n")

    assert [id_[19] for id_, _ in maildir.newest(tmp_path, 3)] == ["4", "3", "2"]
    assert maildir.newest(tmp_path / "none", 3) == []


async def test_text_is_searched_for_in_any_case(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"], message["To"] = "Żółw", "Ada@example.com"
    keep(tmp_path, "1.a", message.as_bytes())

    [summary] = await Mailbox(tmp_path).newest()

    assert [summary.says(text) for text in ("żÓŁw", "ada@", "", "bob")] == [True, True, True, False]
