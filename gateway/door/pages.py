"""Lists: the query parameters `cursor` and `limit` in, `{"items": [...], "next": cursor or null}` out."""

from typing import Annotated, Any, Final

import msgspec
from fastapi import Query, Response

from gateway.door.problem_kinds import INVALID
from gateway.door.problems import Refused
from gateway.history.history import Page
from gateway.history.job_filter import LONGEST_TEXT, SHORTEST_TEXT, Cursor
from shared.errors import Problem

LONGEST_PAGE: Final = 200

Limit = Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="How many items the page holds at most.")]
Name = Annotated[str | None, Query(pattern=r"^[^\x00]*$")]
"""A name to filter by; Postgres has no text with a NUL, so nothing has such a name."""
SearchText = Annotated[
    str | None, Query(min_length=SHORTEST_TEXT, max_length=LONGEST_TEXT, pattern=r"^[^\x00]*$")
]
"""What to search for; taken literally, upper and lower case alike."""

Fingerprint = Annotated[
    str | None,
    Query(pattern=r"^[0-9a-f]{16}$", description="Dead jobs of this group of GET /v1/dead/groups."),
]

CursorText = Annotated[
    str | None, Query(alias="cursor", description="`next` of the page before; the first page without.")
]


def place(cursor: CursorText = None) -> Cursor | None:
    """Where the page begins; Refused with 422 for a cursor that is not ours."""
    if cursor is None:
        return None
    try:
        return Cursor.decode(cursor)
    except ValueError as error:
        raise Refused(INVALID, f"cursor: {error}", errors=[Problem("/cursor", str(error))]) from None


def page_answer(page: Page) -> Response:
    """The page as JSON."""
    return json_answer({"items": page.items, "next": page.next.encode() if page.next else None})


def json_answer(document: Any) -> Response:
    """The document as JSON, not to be kept by caches."""
    return Response(
        msgspec.json.encode(document), media_type="application/json", headers={"Cache-Control": "no-store"}
    )
