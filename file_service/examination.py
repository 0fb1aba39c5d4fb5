"""A file in, what is in it out: which kind it is decides who looks at it."""

from pathlib import Path

import msgspec

from file_service.archives import examine_tar, examine_zip
from file_service.findings import Findings, Limits, Made, Progress, Subject, Tell
from file_service.fitting import clean, fitting
from file_service.images import examine_image
from file_service.sniffing import Kind, Sniffed, sniff
from file_service.tables import examine_csv, examine_jsonl, examine_parquet
from file_service.texts import examine_text


def examine(subject: Subject, folder: Path, limits: Limits, tell: Tell) -> Findings:
    """The profile, small enough for an event, and the artifacts, of which `profile.json` has all of it.

    `folder` is empty and may be filled. Unusable for a file that is broken, lies, or is too much.
    """
    sniffed = sniff(subject)
    progress = Progress(tell, subject.size_bytes)
    found = _examined(subject, sniffed, folder, limits, progress)
    profile = clean({**found.profile, "size_bytes": subject.size_bytes})
    whole = Made("profile.json", "application/json", msgspec.json.encode(profile))
    return Findings(fitting(profile), [whole, *found.made])


def _examined(
    subject: Subject, sniffed: Sniffed, folder: Path, limits: Limits, progress: Progress
) -> Findings:
    match sniffed.kind:
        case Kind.CSV:
            found = examine_csv(subject, folder, limits, progress)
        case Kind.JSONL:
            found = examine_jsonl(subject, folder, limits, progress)
        case Kind.PARQUET:
            found = examine_parquet(subject, folder, limits, progress)
        case Kind.IMAGE:
            found = examine_image(subject, sniffed, limits, progress)
        case Kind.TEXT:
            found = examine_text(subject, sniffed, progress)
        case Kind.ZIP:
            found = examine_zip(subject, sniffed, limits, progress)
        case Kind.TAR:
            found = examine_tar(subject, sniffed, limits, progress)
        case Kind.EMPTY | Kind.OTHER:
            found = Findings({"kind": str(sniffed.kind), "media_type": sniffed.media_type})
    return found
