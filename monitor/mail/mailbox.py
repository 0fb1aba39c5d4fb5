"""A Maildir in; a list of its newest mails, and one mail taken apart, out; the disk is read in threads."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from monitor.mail import maildir
from monitor.mail.headers import header
from monitor.mail.maildir import Stored
from monitor.mail.message import LARGEST_BYTES, Mail, is_attached, leaves, mail_of, parsed

MOST: Final = 500
"""The newest mails, which are listed and searched; older ones are on the disk, and at their addresses."""

_OPEN_AT_ONCE: Final = 4
_BEGINNING_BYTES: Final = 256 * 1024
"""What is read of a mail for a list."""


class Summary(NamedTuple):
    """A mail in a list."""

    id: str
    subject: str
    sender: str
    to: str
    arrived_at: datetime
    size_bytes: int
    attachments: int
    is_cut: bool
    """Whether there may be more attachments than were counted: the mail is long."""

    def says(self, text: str) -> bool:
        """Whether the text is found in it; upper and lower case alike."""
        return text.casefold() in f"{self.subject}\n{self.sender}\n{self.to}".casefold()


class Mailbox:
    """Reads a Maildir; what has been read is remembered, for mails do not change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Summary] = {}
        self._opened: OrderedDict[Stored, Mail] = OrderedDict()

    async def newest(self) -> Sequence[Summary]:
        """The newest mails, the newest first."""
        summaries = await asyncio.to_thread(_summaries, self._folder, self._known)
        self._known = {summary.id: summary for summary in summaries}
        return summaries

    async def content(self, mail_id: str) -> bytes | None:
        """The mail as it was sent; None when there is none."""
        return await asyncio.to_thread(_content, self._folder, mail_id)

    async def mail(self, mail_id: str) -> tuple[Stored, Mail] | None:
        """The mail taken apart; None when there is none."""
        stored = await asyncio.to_thread(maildir.find, self._folder, mail_id)
        if stored is None:
            return None
        mail = self._opened.get(stored) or await asyncio.to_thread(_taken_apart, stored)
        if mail is None:
            return None
        self._opened[stored] = mail
        self._opened.move_to_end(stored)
        while len(self._opened) > _OPEN_AT_ONCE:
            self._opened.popitem(last=False)
        return stored, mail


def _summaries(folder: Path, known: Mapping[str, Summary]) -> list[Summary]:
    found = (known.get(id_) or _summary(id_, path) for id_, path in maildir.newest(folder, MOST))
    return [summary for summary in found if summary is not None]


def _summary(mail_id: str, path: Path) -> Summary | None:
    stored = maildir.look(mail_id, path)
    content = maildir.read(stored, _BEGINNING_BYTES) if stored is not None else None
    if stored is None or content is None:
        return None
    message = parsed(content)
    if message is None:
        subject = "(cannot be taken apart)"
        return Summary(mail_id, subject, "", "", stored.arrived_at, stored.size_bytes, 0, is_cut=True)
    return Summary(
        id=mail_id,
        subject=header(message, "subject"),
        sender=header(message, "from"),
        to=header(message, "to"),
        arrived_at=stored.arrived_at,
        size_bytes=stored.size_bytes,
        attachments=sum(1 for part in leaves(message) if is_attached(part)),
        is_cut=stored.size_bytes > _BEGINNING_BYTES,
    )


def _content(folder: Path, mail_id: str) -> bytes | None:
    stored = maildir.find(folder, mail_id)
    return maildir.read(stored, LARGEST_BYTES) if stored is not None else None


def _taken_apart(stored: Stored) -> Mail | None:
    content = maildir.read(stored, LARGEST_BYTES)
    return mail_of(content) if content is not None else None
