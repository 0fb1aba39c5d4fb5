"""The relay: its address and our limits, and what it says turned into our errors.

RelayError
|-- RelayUnavailable    it did not answer, or hung up, before the mail was handed over
|-- RelayBusy           it said: not now (4xx)
|-- RelayRefusesUs      it will not talk to us: credentials, TLS or sender
|-- MailRefused         it said no to this mail for good (5xx)
|   `-- MailboxUnknown  there is no such recipient
`-- DeliveryUnknown     the mail was handed over and no answer came
"""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from shared.errors import TrunklineError

LONGEST_LINE = 500
_LONGEST_WAIT = timedelta(hours=1)

_PORTS = {"smtp": 25, "smtps": 465}
_STARTTLS_PORT = 587

_PERMANENT = 500
_TEMPORARY = 400
# Not about a mail: how we speak (RFC 5321, section 4.2.3) and who we are (RFC 4954, section 6).
_ABOUT_US = frozenset({500, 502, 503, 530, 534, 535, 538})
_ABOUT_THE_MAILBOX = frozenset({550, 551, 553})
_TOO_BIG = 552

_WAIT = re.compile(
    r"\b(?:in|after|for)[ :=]+(\d{1,5}) ?(s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b", re.IGNORECASE
)
_ADDRESS = re.compile(r"[^\s<>@]{1,64}@[^\s<>@]{1,253}")
_UNITS = {"s": 1, "m": 60, "h": 3600}
_QUEUE_ID = re.compile(r"\b(?:queued as|id=|queue[- ]id[:= ])\s*<?([A-Za-z0-9._-]{4,100})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """Where the relay is and how it is spoken to; `user` None means no authentication."""

    host: str
    port: int
    user: str | None = None
    password: str = field(default="", repr=False)
    tls: bool = False
    """TLS from the first byte (smtps)."""
    starttls: bool = False
    """TLS after STARTTLS, without which no mail is sent."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """The address that `smtp://[user:password@]host[:port][?starttls=true]` or `smtps://...` names.

        ValueError says what is wrong and does not repeat the URL, which may hold a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("is no URL; give smtp://host:port or smtps://host:port") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("give smtp://host:port or smtps://host:port")
        if parts.path not in ("", "/") or parts.fragment:
            raise ValueError("has a path; give smtp://host:port")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        starttls = query.pop("starttls", "false")
        if query or starttls not in ("true", "false"):
            raise ValueError("takes no option but starttls=true")
        tls = parts.scheme == "smtps"
        if tls and starttls == "true":
            raise ValueError("is smtps://, which has TLS from the start; leave starttls out")
        return cls(
            host=parts.hostname,
            port=port or (_STARTTLS_PORT if starttls == "true" else _PORTS[parts.scheme]),
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password or ""),
            tls=tls,
            starttls=starttls == "true",
        )

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many connections to the relay, and how long each wait for it may be."""

    connections: int = 8
    idle: timedelta = timedelta(seconds=30)
    connect: timedelta = timedelta(seconds=5)
    command: timedelta = timedelta(seconds=10)
    offer: timedelta = timedelta(seconds=20)
    """All that comes before the content, the wait for a free connection included. Shorter than GRACE, so that
    a stopping process leaves no mail of which nobody knows whether it was handed over."""
    answer: timedelta = timedelta(minutes=2)
    hello: str = "localhost"
    """The name that EHLO tells."""


class RelayError(TrunklineError):
    """The relay did not take the mail, or nobody knows."""


class RelayUnavailable(RelayError):
    """The relay did not answer, or hung up, before the mail was handed over."""


class RelayBusy(RelayError):
    """The relay said: not now. `retry_after` is the wait it named; None when it named none."""

    def __init__(self, line: str, retry_after: timedelta | None = None) -> None:
        wait = f", retry after {retry_after.total_seconds():g} s" if retry_after else ""
        super().__init__(f"relay busy: {line}{wait}")
        self.retry_after = retry_after


class RelayRefusesUs(RelayError):
    """The relay will not talk to us, whatever the mail: credentials, TLS or sender. A setting is wrong."""


class MailRefused(RelayError):
    """The relay said no to this mail for good; `line` is its own."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.line = line


class MailboxUnknown(MailRefused):
    """The relay knows no such recipient."""


class DeliveryUnknown(RelayError):
    """The whole mail was handed over and no answer came: the relay took it, or not."""


def refusal(command: str, code: int, text: str) -> RelayError:
    """What an unwelcome answer means; `command` is what it answers: connect, EHLO, AUTH, MAIL, RCPT, DATA."""
    # Relays repeat the recipient, who does not belong into tables and dead letters.
    line = one_line(_ADDRESS.sub("[address]", f"{code} {text}"))
    if _TEMPORARY <= code < _PERMANENT:
        return RelayBusy(line, named_wait(line))
    if code < _PERMANENT or command == "connect":
        return RelayUnavailable(f"relay answered {command} with {line!r}")
    about_us = code in _ABOUT_US or command in ("EHLO", "STARTTLS", "AUTH")
    if about_us or (command == "MAIL" and code != _TOO_BIG):
        return RelayRefusesUs(f"relay refuses us at {command}: {line}")
    if command == "RCPT" and code in _ABOUT_THE_MAILBOX:
        return MailboxUnknown(line)
    return MailRefused(line)


def named_wait(line: str) -> timedelta | None:
    """The wait that a line names ("try again in 300 seconds"), at most 1 h; None when it names none."""
    match = _WAIT.search(line)
    if match is None or int(match[1]) == 0:
        return None
    return min(timedelta(seconds=int(match[1]) * _UNITS[match[2][0].lower()]), _LONGEST_WAIT)


def relay_id(text: str) -> str:
    """The queue id in the answer where it is told as Postfix and Exim do; else the answer on one line."""
    line = one_line(text)
    match = _QUEUE_ID.search(line)
    return match[1] if match else line


def one_line(text: str) -> str:
    """What a stranger said, fit for a log and a table: printable, on one line, at most 500 characters."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:LONGEST_LINE]
