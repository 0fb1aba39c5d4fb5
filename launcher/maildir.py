"""A Maildir and a job's id in, the mail that the job sent out."""

from __future__ import annotations

import email
import email.policy
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Mail:
    """A mail as it lies in the Maildir."""

    path: Path
    subject: str
    to: str


def mail_of_job(maildir: Path, job_id: str) -> Mail | None:
    """The first mail of the job, known by its X-Trunkline-Job header."""
    for path in sorted((maildir / "new").iterdir()):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        if message["X-Trunkline-Job"] == job_id:
            return Mail(path=path, subject=str(message["Subject"]), to=str(message["To"]))
    return None
