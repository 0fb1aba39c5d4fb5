"""If-Match: the header and a schedule's entry in; nothing out, or a refusal of the edit."""

from gateway.door.problem_kinds import EDITED_MEANWHILE, IF_MATCH_REQUIRED
from gateway.door.problems import Refused
from shared.schedules import Entry


def etag_of(entry: Entry) -> str:
    """The ETag of the definition: an edit changes it, a tick does not."""
    return f'"{int(entry.created_at.timestamp() * 1_000_000):x}-{entry.version}"'


def require_match(if_match: str | None, entry: Entry) -> None:
    """Refused with 428 without the header, with 412 when it names another state."""
    if if_match is None:
        raise Refused(IF_MATCH_REQUIRED, f"send If-Match: {etag_of(entry)} to edit what you have read")
    honour_match(if_match, entry)


def honour_match(if_match: str | None, entry: Entry) -> None:
    """The same, for what may be done without having read anything."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag_of(entry) not in {tag.strip() for tag in if_match.split(",")}:
        raise Refused(EDITED_MEANWHILE, f"the schedule is {etag_of(entry)} by now")
