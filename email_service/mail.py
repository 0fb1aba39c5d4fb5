"""The rules of a mail: a letter in, one checked message for one recipient out; nothing here does I/O."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address, AddressHeader
from email.message import EmailMessage, Message
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from typing import Any

from email_service.templates import Content, Field, Table, Templates, Unsendable
from shared.contracts import Attachment

_NEVER_FOLDED = frozenset({"message-id", "x-trunkline-job", "x-trunkline-trace"})

# RFC 5322, section 3.2.3, without the quoted forms that nobody's relay treats alike.
_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_LONGEST_DOMAIN = 253
_LONGEST_ADDRESS = 254
_LONGEST_SUBJECT = 998
_NO_ATOM = re.compile(r"[^A-Za-z0-9_-]+")

# Control characters, half characters, and the two separators that some readers take for a line break.
_FORBIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})

# Of these kinds a mail itself is made: as an attachment such bytes would be read as parts of ours.
_OPENED_BY_READERS = frozenset({"multipart", "message"})

# RFC 2047: a reader would decode it, and show something else than what was checked here.
_ENCODED_WORD = re.compile(r"=\?[^\s?]+\?[bBqQ]\?[^?]*\?=")


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file that goes along with a mail, as its recipient sees it."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is to be written to whom: by a template with its fields, or with content of the sender's own."""

    email_id: str
    to: str
    to_name: str = ""
    template: str | None = None
    fields: Mapping[str, Field | Table] = field(default_factory=dict[str, Field | Table])
    content: Content | None = None
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What all our mail has in common: the sender, and the right side of each Message-ID."""

    sender: Address
    domain: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A finished mail: its envelope (two bare addresses) and its bytes with CRLF line ends."""

    message_id: str
    sender: str
    to: str
    content: bytes = field(repr=False)


class Writer:
    """Writes letters on our letterhead."""

    def __init__(self, letterhead: Letterhead, templates: Templates) -> None:
        self._letterhead = letterhead
        self._templates = templates

    def write(
        self,
        letter: Letter,
        *,
        job_id: str,
        trace_id: str | None,
        now: datetime,
        enclosures: Sequence[Enclosure] = (),
    ) -> Mail:
        """The mail, with the same Message-ID in each attempt of the job; Unsendable says what is wrong."""
        recipient = address(letter.to, name=letter.to_name)
        content = letter.content or self._templates.render(letter.template or "", letter.fields)
        message_id = f"<{_NO_ATOM.sub('.', job_id).strip('.')}@{self._letterhead.domain}>"

        message = EmailMessage(_POLICY)
        message["From"] = self._letterhead.sender
        message["To"] = recipient
        message["Subject"] = _subject(content.subject)
        message["Date"] = format_datetime(now)
        message["Message-ID"] = message_id
        # RFC 3834: out-of-office programs do not answer.
        message["Auto-Submitted"] = "auto-generated"
        message["X-Trunkline-Job"] = _line("job id", job_id)
        if trace_id is not None:
            message["X-Trunkline-Trace"] = _line("trace id", trace_id)
        _fill(message, content)
        for enclosure in enclosures:
            _enclose(message, enclosure)
        return Mail(
            message_id=message_id,
            sender=self._letterhead.sender.addr_spec,
            to=recipient.addr_spec,
            content=message.as_bytes(),
        )


class _Policy(EmailPolicy):
    """The library's, but an id stays on its header's line: folded, some readers find a space before it."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        """The header as it is sent."""
        if name.lower() in _NEVER_FOLDED:
            return f"{name}: {value}\r\n".encode("ascii")
        return super().fold_binary(name, value)


# 7bit: such mail passes every relay, whatever it announces.
_POLICY = _Policy(linesep="\r\n", cte_type="7bit")


def address(addr_spec: str, *, name: str = "") -> Address:
    """One recipient, its domain in ASCII; Unsendable for several, none, or what no header can carry."""
    local, at, domain = addr_spec.rpartition("@")
    if not at or len(addr_spec) > _LONGEST_ADDRESS or not domain.isprintable():
        raise Unsendable("the recipient is not one mail address")
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise Unsendable("the recipient's domain is no domain name") from None
    if not local.isascii():
        raise Unsendable("the recipient's address needs SMTPUTF8, which is not supported")
    if not _DOT_ATOM.fullmatch(local) or not is_domain(ascii_domain):
        raise Unsendable("the recipient is not one mail address")
    return Address(_line("recipient's name", name), local, ascii_domain)


def mailbox(text: str) -> Address:
    """The one mailbox that `Name <address>` names; ValueError when it is none."""
    header = SMTP.header_factory("From", text)
    is_one = isinstance(header, AddressHeader) and len(header.addresses) == len(header.groups) == 1
    if not is_one or header.groups[0].display_name is not None:
        raise ValueError("must be one mailbox: Name <address>")
    found = header.addresses[0]
    try:
        return address(found.addr_spec, name=found.display_name)
    except Unsendable:
        raise ValueError("must be one mailbox: Name <address>") from None


def is_domain(text: str) -> bool:
    """Whether the text is a domain name in ASCII."""
    return len(text) <= _LONGEST_DOMAIN and _DOMAIN.fullmatch(text) is not None


def _subject(text: str) -> str:
    if not text.strip() or len(text) > _LONGEST_SUBJECT:
        raise Unsendable(f"the subject must have 1 to {_LONGEST_SUBJECT} characters")
    return _line("subject", text)


def _line(what: str, text: str) -> str:
    """The text, unless it could begin another header."""
    if any(unicodedata.category(char) in _FORBIDDEN for char in text):
        raise Unsendable(f"the {what} has a line break or another control character")
    if _ENCODED_WORD.search(text):
        raise Unsendable(f"the {what} has an encoded word (RFC 2047); give it as plain text")
    return text


def _fill(message: EmailMessage, content: Content) -> None:
    try:
        message.set_content(content.text)
        if content.html is not None:
            message.add_alternative(content.html, subtype="html")
    except (MessageError, UnicodeError) as error:
        raise Unsendable(f"the content cannot be written as a mail: {error}") from error


def _enclose(message: EmailMessage, enclosure: Enclosure) -> None:
    """Add the file as it is; what could be taken for a part of the mail itself goes as plain bytes."""
    media_type = Message()
    media_type["Content-Type"] = enclosure.media_type
    maintype, subtype = media_type.get_content_type().split("/")
    charset = media_type.get_param("charset")
    if maintype in _OPENED_BY_READERS:
        maintype, subtype, charset = "application", "octet-stream", None
    try:
        message.add_attachment(
            enclosure.content,
            maintype=maintype,
            subtype=subtype,
            filename=_line("attachment's name", enclosure.name),
            params={"charset": charset} if isinstance(charset, str) else None,
        )
    except (MessageError, UnicodeError, ValueError) as error:
        raise Unsendable(f"the attachment {enclosure.name!r} cannot be written: {error}") from error
