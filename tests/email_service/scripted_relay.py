"""A real SMTP server that does as it is told: its answers are chosen, what it took is counted."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, syntax

CONTENT = "content"
GREETING = "greeting"

Step = Callable[["ScriptedSmtp"], Awaitable[str]]


@dataclass
class ScriptedRelay:
    """Answers each command from its script, where there is one left, and takes everything else."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    quits: int = 0
    open: set["ScriptedSmtp"] = field(default_factory=set)
    script: dict[str, deque[str | Step]] = field(default_factory=dict)
    password: str | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def answer(self, command: str, *answers: str | Step) -> None:
        """Answer the next commands of this kind so: MAIL, RCPT, DATA (before the content), or CONTENT."""
        self.script.setdefault(command, deque()).extend(answers)

    async def step(self, command: str, server: "ScriptedSmtp", usual: str) -> str:
        self.commands.append(command)
        steps = self.script.get(command)
        if not steps:
            return usual
        step = steps.popleft()
        return step if isinstance(step, str) else await step(server)

    def hang_up_on_all(self) -> None:
        for server in list(self.open):
            server.hang_up()

    # aiosmtpd finds its hooks by these names.
    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: "ScriptedSmtp", _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = await self.step("MAIL", server, "250 2.1.0 ok")
        if answer.startswith("250"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: "ScriptedSmtp", _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = await self.step("RCPT", server, "250 2.1.5 ok")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: "ScriptedSmtp", _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        content = envelope.original_content or b""
        answer = await self.step(CONTENT, server, f"250 2.0.0 Ok: queued as Q{len(self.mails) + 1:04d}")
        if answer.startswith("250"):
            self.take(envelope, content)
        return answer

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        self.quits += 1
        return "221 bye"

    def take(self, envelope: Envelope, content: bytes) -> None:
        self.raw.append(content)
        self.recipients.append(list(envelope.rcpt_tos))
        message = message_from_bytes(content.replace(b"\r\n", b"\n"), policy=default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any
    ) -> AuthResult:
        right = isinstance(given, LoginPassword) and given.password.decode() == self.password
        return AuthResult(success=right, handled=False)


class ScriptedSmtp(SMTP):
    """One connection of the relay."""

    def __init__(self, relay: ScriptedRelay) -> None:
        needs_password = relay.password is not None
        super().__init__(
            relay,
            hostname="relay.test",
            data_size_limit=2_000_000,
            loop=asyncio.get_running_loop(),
            authenticator=relay.authenticate if needs_password else None,
            auth_required=needs_password,
            auth_require_tls=False,
        )
        self.relay = relay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.relay.connections += 1
        self.relay.open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.relay.open.discard(self)
        super().connection_lost(error)

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        answer = await self.relay.step("DATA", self, "")
        if answer:
            await self.push(answer)
            return
        await super().smtp_DATA(arg)

    def hang_up(self) -> None:
        if self.transport is not None:
            self.transport.close()


async def hang_up(server: ScriptedSmtp) -> str:
    """Close without an answer."""
    server.hang_up()
    return "250 never heard"


async def say_goodbye(server: ScriptedSmtp) -> str:
    """421, then close."""
    asyncio.get_running_loop().call_soon(server.hang_up)
    return "421 4.3.2 relay.test is shutting down"


async def want_content_and_hang_up(server: ScriptedSmtp) -> str:
    """Say 354 and close: the final dot cannot arrive."""
    asyncio.get_running_loop().call_soon(server.hang_up)
    return "354 go ahead"


async def take_and_hang_up(server: ScriptedSmtp) -> str:
    """Take the mail and close: its sender cannot know."""
    envelope = server.envelope
    assert isinstance(envelope, Envelope)
    server.relay.take(envelope, envelope.original_content or b"")
    server.hang_up()
    return "451 never heard"


class Gate:
    """A step that waits until it is opened; tells when somebody waits."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, _server: ScriptedSmtp) -> str:
        self.reached.set()
        await self.opened.wait()
        return self._answer


@asynccontextmanager
async def scripted_relay(**options: Any) -> AsyncGenerator[ScriptedRelay]:
    relay = ScriptedRelay(**options)
    listening = await asyncio.get_running_loop().create_server(lambda: ScriptedSmtp(relay), "127.0.0.1", 0)
    relay.port = listening.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        listening.close()
        relay.hang_up_on_all()


@asynccontextmanager
async def greeting(line: bytes) -> AsyncGenerator[int]:
    """A relay that says this one line to whoever connects; an empty line is silence. Yields its port."""
    writers: list[asyncio.StreamWriter] = []

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(line)
        await writer.drain()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
