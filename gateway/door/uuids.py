"""Ids in a path: text in, a UUID in its one spelling out."""

from uuid import UUID


def as_uuid(text: str) -> str | None:
    """The UUID as Postgres and we write it; None for any other text."""
    try:
        id_ = str(UUID(text))
    except ValueError:
        return None
    return id_ if id_ == text.lower() else None
