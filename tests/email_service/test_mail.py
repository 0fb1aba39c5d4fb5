"""How a mail is written: headers that no field can break, names in any script, one id for all attempts."""

from dataclasses import replace
from email import message_from_bytes
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from email_service.mail import Letter, Letterhead, Mail, Writer, address, mailbox
from email_service.templates import Content, Templates, Unsendable
from tests.email_service.conftest import EVENT_ID, written

LETTER = Letter(email_id="1", to="ada@example.com", content=Content("Hello", "Good day", "<p>Good day</p>"))
HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "X-Trunkline-Job",
    "Content-Type",
    "Content-Transfer-Encoding",
    "MIME-Version",
]
NO_TEMPLATES = Templates(Path("no/such/folder"))
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=200)


def read(mail: Mail) -> EmailMessage:
    message = message_from_bytes(mail.content.replace(b"\r\n", b"\n"), policy=default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_mail_says_who_wrote_it_and_why(writer: Writer) -> None:
    mail = read(written(writer, LETTER, job_id=f"email.send:{EVENT_ID}", trace_id="ab" * 16))

    assert mail["From"] == "Trunkline <no-reply@trunkline.localhost>"
    assert mail["To"] == "ada@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Trunkline-Job"] == f"email.send:{EVENT_ID}"
    assert mail["X-Trunkline-Trace"] == "ab" * 16
    assert mail["Date"].datetime is not None


def test_each_attempt_of_a_job_has_the_same_message_id(writer: Writer) -> None:
    first, second = (written(writer, LETTER, job_id="email.send:some id") for _ in range(2))

    assert first.message_id == second.message_id == "<email.send.some.id@trunkline.localhost>"
    assert f"\r\nMessage-ID: {first.message_id}\r\n".encode() in first.content


def test_text_and_html_are_alternatives_of_one_mail(writer: Writer) -> None:
    mail = read(written(writer, LETTER))

    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content() for part in mail.iter_parts()] == ["Good day\n", "<p>Good day</p>\n"]


def test_a_mail_of_text_alone_has_one_part(writer: Writer) -> None:
    mail = read(written(writer, replace(LETTER, content=Content("Hello", "Grüße"))))

    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines() == ["Grüße"]


@pytest.mark.parametrize(
    "name",
    [
        "Lovelace, Ada",
        'Ada "the first" Lovelace',
        "Łukasz Żółć",
        "山田太郎",
        "Zoë, Bob <eve@example.com>, and a name that is so long that its header is folded, twice or more",
        "O'Brien (Dr.)",
        "a\\b",
        "what =? who ?= me",
        "@",
        "",
    ],
)
def test_a_name_arrives_as_it_was_and_adds_no_recipient(writer: Writer, name: str) -> None:
    to = read(written(writer, replace(LETTER, to_name=name)))["To"]

    assert isinstance(to, AddressHeader)
    assert [recipient.addr_spec for recipient in to.addresses] == ["ada@example.com"]
    assert to.addresses[0].display_name == name


def test_a_subject_in_any_script_arrives_as_it_was(writer: Writer) -> None:
    subject = "Łódź 山田 🎉 " + "und so weiter, " * 10 + "Ende"

    mail = written(writer, replace(LETTER, content=Content(subject, "x")))

    assert mail.content.isascii()
    assert read(mail)["Subject"] == subject


@settings(max_examples=50, deadline=None)
@given(name=TEXTS, subject=TEXTS.filter(str.strip), words=st.text(max_size=200))
def test_no_text_adds_a_header_or_a_recipient(name: str, subject: str, words: str) -> None:
    writer = Writer(Letterhead(mailbox("a@example.com"), "example.com"), NO_TEMPLATES)

    try:
        mail = written(writer, replace(LETTER, to_name=name, content=Content(subject, words)))
    except Unsendable:
        return

    parsed = read(mail)
    assert parsed.keys() == HEADERS
    assert mail.to == "ada@example.com"
    assert [found.addr_spec for found in parsed["To"].addresses] == ["ada@example.com"]
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))
    assert b"\n" not in mail.content.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "control", ["\r\n", "\n", "\r", "\x00", "\x0b", "\x1b", "\x7f", "\x85", "\u2028", "\ud800"]
)
@pytest.mark.parametrize("place", ["to", "to_name", "subject", "job_id", "trace_id"])
def test_a_control_character_in_a_header_is_refused(writer: Writer, place: str, control: str) -> None:
    text = f"x{control}Bcc: eve@example.com"
    letter, names = LETTER, {"job_id": "email.send:1", "trace_id": "ab" * 16}
    if place in names:
        names[place] = text
    elif place == "subject":
        letter = replace(LETTER, content=Content(text, "x"))
    else:
        letter = (
            replace(LETTER, to=f"ada{control}@example.com")
            if place == "to"
            else replace(LETTER, to_name=text)
        )

    with pytest.raises(Unsendable):
        written(writer, letter, job_id=names["job_id"], trace_id=names["trace_id"])


@pytest.mark.parametrize("text", ["=?utf-8?q?Eve=3Ceve=40example.com=3E?=", "=?utf-8?q?=0D=0ABcc:_eve?="])
def test_an_encoded_word_is_refused_since_its_reader_would_decode_it(writer: Writer, text: str) -> None:
    with pytest.raises(Unsendable, match="encoded word"):
        written(writer, replace(LETTER, to_name=text))
    with pytest.raises(Unsendable, match="encoded word"):
        written(writer, replace(LETTER, content=Content(f"x {text}", "x")))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@example.com, eve@example.com",
        "ada@example.com;eve@example.com",
        "ada@example.com eve@example.com",
        "Ada <ada@example.com>",
        "<ada@example.com>",
        '"ada lovelace"@example.com',
        "ada@@example.com",
        "ada..lovelace@example.com",
        "ada@exa mple.com",
        "ada@[127.0.0.1]",
        "ada@example..com",
        "ada@-example.com",
        "ada@example.com\x00",
        "ada@example.com> SIZE=1",
        "ädä@example.com",
        "a" * 250 + "@example.com",
        f"ada@{'x' * 64}.com",
    ],
)
def test_what_is_not_one_address_is_refused(text: str) -> None:
    with pytest.raises(Unsendable):
        address(text)


def test_a_domain_in_another_script_is_written_in_ascii() -> None:
    assert address("ada@münchen.example").addr_spec == "ada@xn--mnchen-3ya.example"


@pytest.mark.parametrize(
    "text", ["", "Trunkline", "a@example.com, b@example.com", "Team: a@example.com;", "a b@c"]
)
def test_a_sender_that_is_not_one_mailbox_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one mailbox"):
        mailbox(text)
