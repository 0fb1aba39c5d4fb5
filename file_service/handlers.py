"""What the file service takes and gives: FileUploaded in; FileProcessed, FileRejected out."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from file_service.findings import Limits, Subject, Unusable, in_words
from file_service.settings import FileSettings
from file_service.workshop import Workshop
from shared.contracts import FileProcessed, FileRejected, FileUploaded
from shared.jobs import Handlers, Job, Retry, TimeLimitExceeded
from shared.objects import ObjectMissing, Objects
from shared.telemetry import Tracing

# Here and not in app.py: limits are said where a handler is registered, in the service and in its children.
SETTINGS = FileSettings.load()


@contextmanager
def open_in_child(tracing: Tracing) -> Generator[tuple[object, ...]]:
    """What the handler asks for, in each child process."""
    del tracing
    # Here, for children alone need duckdb and Pillow: the service starts without them, and smaller.
    from file_service.examination import examine  # noqa: PLC0415 - see above

    limits = Limits(
        query_memory_bytes=SETTINGS.file_query_memory,
        query_spill_bytes=SETTINGS.file_query_spill,
        query_threads=SETTINGS.file_query_threads,
        columns=SETTINGS.file_columns_max,
        pixels=SETTINGS.file_pixels_max,
        unpacked_bytes=SETTINGS.file_unpacked_max,
    )
    try:
        with Workshop(Objects(SETTINGS.files_url), limits, examine) as workshop:
            yield (workshop,)
    finally:
        _silence_the_end()


handlers = Handlers("file", in_child=open_in_child)


@handlers.on(
    FileUploaded,
    isolation="process",
    retry=Retry(attempts=4),
    time_limit=SETTINGS.file_time_limit,
    memory_limit_bytes=SETTINGS.file_memory_limit,
    concurrency=SETTINGS.file_concurrency,
)
def process(event: FileUploaded, job: Job, workshop: Workshop) -> FileProcessed | FileRejected:
    """Say what is in the file; what no further attempt could read is rejected, with the reason."""
    try:
        with workshop.file(event.file_id) as (path, folder):
            size_bytes = path.stat().st_size
            subject = Subject(path=path, name=event.name, declared=event.media_type, size_bytes=size_bytes)
            found = workshop.examine(subject, folder, job.progress_now)
            artifacts = workshop.keep(event.file_id, found.made)
    except Unusable as fault:
        return _rejected(event, job, str(fault))
    except ObjectMissing:
        return _rejected(event, job, "there is no such file any more")
    except MemoryError:
        limit = in_words(SETTINGS.file_memory_limit)
        return _rejected(event, job, f"it needs more than {limit} of memory (FILE_MEMORY_LIMIT)")
    except TimeLimitExceeded as error:
        limit_s = error.limit.total_seconds()
        return _rejected(event, job, f"it takes longer than {limit_s:g} s (FILE_TIME_LIMIT)")
    return FileProcessed(file_id=event.file_id, profile=dict(found.profile), artifacts=artifacts)


def _silence_the_end() -> None:
    """When a process ends duckdb's binding tells of its own leaks, in a hundred lines; nobody else does."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())


def _rejected(event: FileUploaded, job: Job, reason: str) -> FileRejected:
    job.log.info("file.rejected", file_id=event.file_id, reason=reason)
    return FileRejected(file_id=event.file_id, reason=reason)
