"""One SMTP connection: a relay's address in, then `offer` and `hand_over` for one mail after another.

The content and the dot that ends it are sent apart: until the dot is out nothing was handed over, whatever
breaks; from then on only the relay's answer tells.
"""

import asyncio
import re
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Self

from aiosmtplib import (
    SMTP,
    SMTPConnectResponseError,
    SMTPException,
    SMTPHeloError,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from email_service.mail import Mail
from email_service.relay import (
    DeliveryUnknown,
    Limits,
    RelayAddress,
    RelayError,
    RelayRefusesUs,
    RelayUnavailable,
    one_line,
    refusal,
    relay_id,
)

_GO_AHEAD = 354
_TAKEN = 250

_LEADING_DOT = re.compile(rb"(?m)^\.")


class Connection:
    """A connection to the relay; each method raises a RelayError and closes it when it is of no more use."""

    def __init__(self, client: SMTP, limits: Limits) -> None:
        self._client = client
        self._answer_s = limits.answer.total_seconds()

    @classmethod
    async def open(cls, relay: RelayAddress, limits: Limits) -> Self:
        """Connect, with TLS and authentication as the address asks."""
        client = SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.user,
            password=relay.password if relay.user else None,
            use_tls=relay.tls,
            start_tls=relay.starttls,
            local_hostname=limits.hello,  # else it asks DNS for our name, which may take longer than any mail
            timeout=limits.command.total_seconds(),
        )
        with _as_ours("AUTH" if relay.user else "STARTTLS"):
            await client.connect(timeout=limits.connect.total_seconds())
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
        return cls(client, limits)

    @property
    def is_open(self) -> bool:
        """Whether it can be used again, as far as anybody knows."""
        return self._client.is_connected

    async def offer(self, mail: Mail) -> None:
        """Tell the relay sender and recipient, and that the content comes next; it agreed on return."""
        with _as_ours("MAIL"):
            size = [f"SIZE={len(mail.content)}"] if self._client.supports_extension("size") else []
            await self._client.mail(mail.sender, options=size)
        with _as_ours("RCPT"):
            await self._client.rcpt(mail.to)
        with _as_ours("DATA"):
            answer = await self._client.execute_command(b"DATA")
        if answer.code != _GO_AHEAD:
            raise refusal("DATA", answer.code, answer.message)

    async def hand_over(self, mail: Mail) -> str:
        """Send the content that was offered; returns the relay's id for it.

        DeliveryUnknown when no answer came, or one that is no SMTP. Cancelling leaves it unknown too.
        """
        is_taken = False
        try:
            answer = await self._answer_to(_LEADING_DOT.sub(b"..", mail.content))
            is_taken = answer.code == _TAKEN
        finally:
            if not is_taken:  # a relay may refuse in the midst of the content, and answer the dot once more
                self.drop()
        if not is_taken:
            raise refusal("the content", answer.code, answer.message)
        return relay_id(answer.message)

    async def reset(self) -> None:
        """Forget an offer that was refused, so that the connection can take another."""
        if self.is_open:
            try:
                with _as_ours("RSET"):
                    await self._client.rset()
            except RelayError:
                self.drop()

    def leave(self) -> None:
        """Say QUIT and close without waiting for the farewell."""
        if self._client.protocol is not None:
            with suppress(SMTPServerDisconnected):
                self._client.protocol.write(b"QUIT\r\n")
        self.drop()

    def drop(self) -> None:
        """Close at once."""
        self._client.close()

    async def _answer_to(self, content: bytes) -> SMTPResponse:
        # aiosmtplib sends content and dot in one write and raises the same errors before and after it.
        protocol = self._client.protocol
        if protocol is None:
            raise RelayUnavailable("relay hung up before the content")
        answer = asyncio.create_task(protocol.read_response(timeout=self._answer_s))
        try:
            with _as_ours("the content"):
                protocol.write(content)
                # One turn of the loop, in which a lost connection shows: then the next write raises.
                await asyncio.sleep(0)
                protocol.write(b".\r\n")
            return await answer
        except (OSError, SMTPException) as error:
            raise DeliveryUnknown(f"mail handed over, no answer: {_reason(error)}") from error
        finally:
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # looked at, else asyncio complains of it later


@contextmanager
def _as_ours(command: str) -> Generator[None]:
    """Turn the library's errors into ours; `command` is what is under way.

    An answer's error is not chained: ours says all that it said but the recipient, who is nobody's business
    in a stack that is kept.
    """
    try:
        yield
    except SMTPConnectResponseError as error:
        raise refusal("connect", error.code, error.message) from None
    except SMTPHeloError as error:
        raise refusal("EHLO", error.code, error.message) from None
    except SMTPResponseException as error:
        raise refusal(command, error.code, error.message) from None
    except OSError as error:  # refused, reset, TLS, and the library's own time-outs
        raise RelayUnavailable(f"relay broke off at {command}: {_reason(error)}") from error
    except SMTPException as error:  # it cannot do what the address asks for: STARTTLS, a way to authenticate
        raise RelayRefusesUs(f"relay refuses us at {command}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return one_line(str(error)) or type(error).__name__
