"""What is said about a report: it is ready, or cannot be made."""

from datetime import date
from typing import ClassVar

from shared.contracts.event import EntityId, Event, FileName, MediaType, ObjectKey, SizeBytes
from shared.contracts.gateway import ReportFormat, ReportKind


class ReportEnded(Event):
    """What was asked for, for those who did not hear the question: a schedule asks, too."""

    report_id: EntityId
    kind: ReportKind | None = None
    format: ReportFormat | None = None
    first_day: date | None = None
    last_day: date | None = None
    user_id: EntityId | None = None


class ReportReady(ReportEnded):
    """The report lies in the object store."""

    type: ClassVar[str] = "report.ready"

    file_key: ObjectKey
    media_type: MediaType
    size_bytes: SizeBytes
    rows: int
    """How many rows of data it shows."""
    name: FileName | None = None
    """What to call the file: `orders-summary-2026-11-01-2026-11-22.pdf`."""


class ReportFailed(ReportEnded):
    """The report cannot be made; the reason says why."""

    type: ClassVar[str] = "report.failed"

    reason: str
