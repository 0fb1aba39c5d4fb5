"""The SMTP inbox of a local system: a Maildir and a port in, an smtp:// URL and the mail out."""

from __future__ import annotations

import email
import email.policy
import os
import sys
from typing import TYPE_CHECKING

from launcher.environment import source_path
from launcher.ports import LOOPBACK
from launcher.probes import ask
from launcher.process import Command
from launcher.servers.server import Server

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path


class SmtpInbox(Server):
    """A mail relay whose data folder is the Maildir.

    With `refuses` (the default) some recipients are refused: inbox.py says which.
    `durable` changes nothing: the inbox is for looking at; its mail survives a crash, not a power cut.
    """

    name = "smtp"

    def __init__(
        self, data: Path, port: int | None = None, *, durable: bool = True, refuses: bool = True
    ) -> None:
        super().__init__(data, port, durable=durable)
        self.refuses = refuses

    @property
    def url(self) -> str:
        """smtp://127.0.0.1:port."""
        return f"smtp://{LOOPBACK}:{self.port}"

    async def command(self) -> Command:
        """What runs it; the process makes its Maildir itself."""
        env = {**os.environ, **source_path(os.environ)}
        options = ["--maildir", str(self.data), "--port", str(self.port)]
        options += [] if self.refuses else ["--take-all"]
        return Command(self.name, (sys.executable, "-P", "-m", "launcher.inbox", *options), env=env)

    async def answers(self) -> bool:
        """It greets."""
        return (await ask(self.port) or b"").startswith(b"220")

    def messages(self) -> list[EmailMessage]:
        """All mail so far, oldest first; X-MailFrom and X-RcptTo are the envelope's."""
        files = sorted((self.data / "new").iterdir(), key=lambda path: path.name)
        return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
