"""What is said about an uploaded file: it was processed or rejected."""

from typing import ClassVar

from pydantic import Field, JsonValue

from shared.contracts.event import EntityId, Event, FileName, MediaType, Part, SizeBytes


class Artifact(Part):
    """Something made from the file; it lies under `files/<file_id>/artifacts/<name>`."""

    name: FileName
    media_type: MediaType
    size_bytes: SizeBytes


class FileProcessed(Event):
    """What is in the file is known."""

    type: ClassVar[str] = "file.processed"

    file_id: EntityId
    profile: dict[str, JsonValue]
    artifacts: list[Artifact] = Field(default_factory=list, max_length=100)


class FileRejected(Event):
    """The file cannot be used; the reason says why, and where in the file."""

    type: ClassVar[str] = "file.rejected"

    file_id: EntityId
    reason: str
