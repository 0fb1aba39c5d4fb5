"""What the relay's address and the relay's words mean; when it is left alone."""

from datetime import timedelta

import pytest

from email_service.breaker import Breaker
from email_service.relay import (
    MailboxUnknown,
    MailRefused,
    RelayAddress,
    RelayBusy,
    RelayError,
    RelayRefusesUs,
    RelayUnavailable,
    named_wait,
    one_line,
    refusal,
    relay_id,
)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("smtp://mail.test", RelayAddress("mail.test", 25)),
        ("smtp://mail.test:1025/", RelayAddress("mail.test", 1025)),
        ("smtp://mail.test?starttls=true", RelayAddress("mail.test", 587, starttls=True)),
        ("smtp://mail.test:25?starttls=false", RelayAddress("mail.test", 25)),
        ("smtps://a%40b:p%3Aw@mail.test", RelayAddress("mail.test", 465, "a@b", "p:w", tls=True)),
        ("smtp://[::1]:25", RelayAddress("::1", 25)),
    ],
)
def test_an_address_is_read_from_its_url(url: str, address: RelayAddress) -> None:
    assert RelayAddress.parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.test:25",
        "http://mail.test",
        "smtp://",
        "smtp://:25",
        "smtp://mail.test:port",
        "smtp://mail.test:99999",
        "smtp://mail.test/inbox",
        "smtp://mail.test?tls=true",
        "smtp://mail.test?starttls=yes",
        "smtps://mail.test?starttls=true",
    ],
)
def test_a_wrong_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"give|takes|leave") as refused:
        RelayAddress.parse(url.replace("://", "://ada:hunter2@", 1))

    assert "hunter2" not in str(refused.value)


def test_an_address_does_not_show_its_password() -> None:
    address = RelayAddress.parse("smtp://ada:hunter2@mail.test")

    assert "hunter2" not in f"{address} {address!r}"


@pytest.mark.parametrize(
    ("command", "code", "kind"),
    [
        ("connect", 421, RelayBusy),
        ("connect", 554, RelayUnavailable),
        ("AUTH", 454, RelayBusy),
        ("AUTH", 535, RelayRefusesUs),
        ("MAIL", 550, RelayRefusesUs),
        ("MAIL", 552, MailRefused),
        ("RCPT", 450, RelayBusy),
        ("RCPT", 550, MailboxUnknown),
        ("RCPT", 554, MailRefused),
        ("RCPT", 530, RelayRefusesUs),
        ("DATA", 452, RelayBusy),
        ("the content", 554, MailRefused),
        ("the content", 451, RelayBusy),
        ("DATA", 250, RelayUnavailable),
        ("RCPT", -1, RelayUnavailable),
    ],
)
def test_each_refusal_has_its_meaning(command: str, code: int, kind: type[RelayError]) -> None:
    assert type(refusal(command, code, "text")) is kind


@pytest.mark.parametrize(
    ("line", "wait"),
    [
        ("450 greylisted, try again in 300 seconds", timedelta(seconds=300)),
        ("450 Greylisted for 5 minutes (see the site)", timedelta(minutes=5)),
        ("451 retry after: 10s", timedelta(seconds=10)),
        ("451 come back in 2 days", None),
        ("451 come back in 48 hours", timedelta(hours=1)),
        ("451 in 10 hosts of ours", None),
        ("451 in 0 seconds", None),
        ("451 4.7.1 try again later", None),
    ],
)
def test_a_wait_is_taken_from_the_words_of_the_relay(line: str, wait: timedelta | None) -> None:
    assert named_wait(line) == wait


@pytest.mark.parametrize(
    ("answer", "id_"),
    [
        ("2.0.0 Ok: queued as 4F3B21A0", "4F3B21A0"),
        ("OK id=1tExyz-000abc-Zz", "1tExyz-000abc-Zz"),
        ("2.0.0 taken", "2.0.0 taken"),
        ("", ""),
    ],
)
def test_the_queue_id_is_taken_from_the_words_of_the_relay(answer: str, id_: str) -> None:
    assert relay_id(answer) == id_


def test_what_a_stranger_says_is_one_printable_line_of_limited_length() -> None:
    line = one_line("550 \x1b[31mno\r\n\x00" + "x" * 10_000 + "\udcff")

    assert line.startswith("550 [31mno x")
    assert line.isprintable()
    assert len(line) == 500


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_after_a_failure_nobody_tries_until_the_rest_is_over_and_then_one() -> None:
    seconds = Seconds()
    breaker = Breaker(first=timedelta(seconds=1), now=seconds)

    assert breaker.enter() is None
    breaker.failed(seconds.now)
    assert breaker.enter() == timedelta(seconds=1)
    seconds.now += 1
    assert breaker.enter() is None
    assert breaker.enter() is not None
    breaker.passed()
    assert breaker.enter() is None


def test_each_failure_doubles_the_rest_up_to_a_limit() -> None:
    seconds = Seconds()
    breaker = Breaker(first=timedelta(seconds=1), longest=timedelta(seconds=5), now=seconds)

    rests: list[timedelta | None] = []
    for _ in range(4):
        breaker.failed(seconds.now)
        rests.append(breaker.enter())
        seconds.now += 10

    assert [rest.total_seconds() for rest in rests if rest] == [1, 2, 4, 5]


def test_failures_side_by_side_count_once() -> None:
    seconds = Seconds()
    breaker = Breaker(first=timedelta(seconds=1), now=seconds)
    seconds.now += 1

    for _ in range(8):
        breaker.failed(began_at=100.0)

    assert breaker.enter() == timedelta(seconds=1)
