"""The process behind SmtpInbox: mail over SMTP in, one file a message in a Maildir out (-m launcher.inbox).

It takes every recipient but two kinds, so that people can watch a retry and a bounce:
`busy...@any.domain` is refused for now (451), `nobody...@any.domain` for good (550).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from aiosmtpd.smtp import Envelope, Session

_LOOPBACK = "127.0.0.1"  # it asks nobody who they are
_LARGEST_BYTES = 32 * 1024 * 1024
_TAKEN = "250 2.0.0 taken"
_BUSY = "451 4.3.2 the mailbox is busy, try again later"
_UNKNOWN = "550 5.1.1 there is no such mailbox"


class Maildir:
    """Writes each message under tmp/ and moves it to new/: a reader never sees half of one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counter = itertools.count()

    def add(self, message: bytes) -> None:
        """Store a message; its name sorts by arrival."""
        name = f"{time.time_ns():020d}.P{os.getpid()}Q{next(self._counter):06d}.{socket.gethostname()}"
        unfinished = self._folder / "tmp" / name
        unfinished.write_bytes(message)
        unfinished.rename(self._folder / "new" / name)


class Inbox:
    """aiosmtpd's handler: answers RCPT, stores DATA. The names of its methods are aiosmtpd's."""

    def __init__(self, maildir: Maildir, *, refuses: bool) -> None:
        self._maildir = maildir
        self._refuses = refuses

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Refuse whom the inbox is made to refuse."""
        if self._refuses and address.startswith("busy"):
            return _BUSY
        if self._refuses and address.startswith("nobody"):
            return _UNKNOWN
        envelope.rcpt_tos.append(address)
        return _TAKEN

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        """Store the message below headers that keep its envelope."""
        self._maildir.add(_stored(session, envelope))
        return _TAKEN


async def serve(maildir: Path, port: int, *, host: str = _LOOPBACK, refuses: bool) -> None:
    """Take mail until SIGTERM; the Maildir is made when it is missing."""
    for part in ("tmp", "new", "cur"):
        (maildir / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = Inbox(Maildir(maildir), refuses=refuses)
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    server = await loop.create_server(
        lambda: SMTP(handler, data_size_limit=_LARGEST_BYTES, enable_SMTPUTF8=True, ident="Trunkline inbox"),
        host,
        port,
    )
    await stopping.wait()
    server.close()


def main() -> None:
    """Run the inbox as a process of its own."""
    parser = argparse.ArgumentParser(description="Take all mail into a Maildir.")
    parser.add_argument("--maildir", type=Path, required=True)
    parser.add_argument("--host", default=_LOOPBACK, help="the address to listen on")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--take-all", action="store_true", help="refuse nobody")
    options = parser.parse_args()
    asyncio.run(serve(options.maildir, options.port, host=options.host, refuses=not options.take_all))


def _stored(session: Session, envelope: Envelope) -> bytes:
    content = envelope.original_content or b""
    headers = {
        "X-Peer": ":".join(str(part) for part in session.peer or ()),
        "X-MailFrom": envelope.mail_from or "",
        "X-RcptTo": ", ".join(envelope.rcpt_tos),
    }
    above = "".join(f"{name}: {value}\n" for name, value in headers.items())
    return above.encode() + content.replace(b"\r\n", b"\n")  # lines end on disk as in any Maildir


if __name__ == "__main__":
    main()
