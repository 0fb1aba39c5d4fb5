"""What the file service reads from the environment, beside what every process reads."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from shared.settings import Duration, Secret, Settings


class FileSettings(Settings):
    """The settings of one file service process, and of its children."""

    files_url: Secret = Secret("file:///tmp/trunkline/files")
    """Where files lie: `file:///folder`, `s3://bucket/prefix`, `gs://...`, `az://...`."""
    file_concurrency: Annotated[int, Field(ge=1, le=64)] | None = None
    """How many files one process works on at a time, each in a child process; unset: one for each CPU."""
    file_time_limit: Duration = timedelta(minutes=30)
    """How long the work on one file may take; what takes longer is rejected."""
    file_memory_limit: Annotated[int, Field(ge=512 * 1024 * 1024)] = 1024 * 1024 * 1024
    """How much private memory the work on one file may take, in bytes; what needs more is rejected."""
    file_query_memory: Annotated[int, Field(ge=64 * 1024 * 1024)] = 256 * 1024 * 1024
    """How much of it the profile of a table may take, in bytes, before it moves to a temporary file."""
    file_query_spill: Annotated[int, Field(ge=0)] = 10 * 1024**3
    """How large that temporary file may be, in bytes."""
    file_query_threads: Annotated[int, Field(ge=1, le=64)] = 2
    """How many threads profile one table."""
    file_columns_max: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    """How many columns a table may have."""
    file_pixels_max: Annotated[int, Field(ge=1)] = 100_000_000
    """How many pixels an image may have; 100 million need up to 900 MB."""
    file_unpacked_max: Annotated[int, Field(ge=1)] = 10 * 1024**3
    """How many bytes an archive may unpack to; its ratio is limited, too."""
