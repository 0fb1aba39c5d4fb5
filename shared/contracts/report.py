"""What is said about a report: it is ready, or cannot be made."""

from typing import ClassVar

from shared.contracts.event import EntityId, Event, MediaType, ObjectKey, SizeBytes


class ReportReady(Event):
    """The report lies in the object store."""

    type: ClassVar[str] = "report.ready"

    report_id: EntityId
    file_key: ObjectKey
    media_type: MediaType
    size_bytes: SizeBytes
    rows: int
    """How many rows of data it shows."""


class ReportFailed(Event):
    """The report cannot be made; the reason says why."""

    type: ClassVar[str] = "report.failed"

    report_id: EntityId
    reason: str
