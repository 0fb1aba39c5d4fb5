"""What the email service reads from the environment, beside what every process reads."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from email_service.mail import is_domain, mailbox
from email_service.relay import Limits, RelayAddress
from shared.settings import Duration, Secret, Settings

LONGEST_ANSWER = timedelta(minutes=10)
"""RFC 5321, section 4.5.3.2.6: how long a client should wait for the answer to the final dot."""


def _relay_url(value: Secret) -> Secret:
    RelayAddress.parse(value.get_secret_value())
    return value


def _mailbox(value: str) -> str:
    mailbox(value)
    return value


def _domain(value: str) -> str:
    if not is_domain(value):
        raise ValueError("must be a domain name: letters, digits, - and dots")
    return value


class EmailSettings(Settings):
    """The settings of one email service process."""

    database_url: Secret = Secret("postgresql://127.0.0.1:5432/trunkline")
    """Postgres: which mail was handed to the relay."""
    database_pool_size: Annotated[int, Field(ge=1, le=50)] = 5
    """How many connections to Postgres are kept."""

    smtp_url: Annotated[Secret, AfterValidator(_relay_url)] = Secret("smtp://127.0.0.1:1025")
    """The mail relay: `smtp://[user:password@]host[:port][?starttls=true]`, or `smtps://` for TLS at once."""
    smtp_pool_size: Annotated[int, Field(ge=1, le=100)] = 8
    """How many connections to the relay are open at most."""
    smtp_idle: Duration = timedelta(seconds=30)
    """After how long an unused connection to the relay is closed."""
    smtp_connect_timeout: Duration = timedelta(seconds=5)
    """How long a connect may take, and then the relay's greeting."""
    smtp_command_timeout: Duration = timedelta(seconds=10)
    """How long the relay may take to answer one command."""
    smtp_answer_timeout: Annotated[Duration, Field(le=LONGEST_ANSWER)] = timedelta(minutes=2)
    """How long the relay may take to say whether it took a mail, at most 10 min; too short sends twice."""

    mail_from: Annotated[str, AfterValidator(_mailbox)] = "Trunkline <no-reply@trunkline.localhost>"
    """The sender of all mail: `Name <address>`."""
    mail_domain: Annotated[str, AfterValidator(_domain)] = "trunkline.localhost"
    """The right side of each Message-ID, and the name by which the relay is greeted."""
    mail_size_max: Annotated[int, Field(ge=1024)] = 20 * 1024 * 1024
    """The largest mail in bytes as it goes to the relay: attachments have a third more than as files."""
    mail_kept: Annotated[Duration, Field(ge=timedelta(days=1))] = timedelta(days=30)
    """How long it is known that a mail was sent, at least a day; a job that comes again later sends again."""
    files_url: Secret = Secret("file:///tmp/trunkline/files")
    """Where attachments lie: a folder (`file:///its/path`), `s3://`, `gs://` or `az://`."""
    mail_unknown: Literal["resend", "hold"] = "resend"
    """When nobody knows whether the relay took a mail: `resend` risks two copies, `hold` asks a person."""

    @property
    def relay(self) -> RelayAddress:
        """The address of the relay."""
        return RelayAddress.parse(self.smtp_url.get_secret_value())

    @property
    def limits(self) -> Limits:
        """How many connections to the relay, and how long each wait for it."""
        return Limits(
            connections=self.smtp_pool_size,
            idle=self.smtp_idle,
            connect=self.smtp_connect_timeout,
            command=self.smtp_command_timeout,
            answer=self.smtp_answer_timeout,
            hello=self.mail_domain,
        )
