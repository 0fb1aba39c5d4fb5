"""A form's bytes in, its fields out; and whether it came from a page of ours at all."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request

_BYTES_MAX: Final = 256 * 1024


class Fields:
    """The fields of a form; of a name that comes more than once, `one` is the first."""

    def __init__(self, values: dict[str, list[str]]) -> None:
        self._values = values

    def one(self, name: str, default: str = "") -> str:
        """The field's text without blanks around it."""
        return self._values.get(name, [default])[0].strip()

    def all(self, name: str) -> Sequence[str]:
        """Every value of that name."""
        return self._values.get(name, [])

    def __contains__(self, name: str) -> bool:
        return name in self._values


async def fields_of(request: Request) -> Fields:
    """The fields of an urlencoded form; none of one that is longer than any of ours."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _BYTES_MAX:
            return Fields({})
    return Fields(parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True))


def from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another site sent this (Fetch Metadata; Origin for older browsers)."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


def local(goal: str) -> str:
    """The path to go to after a form; two slashes of either kind would leave this site."""
    if not goal.startswith("/") or goal[1:2] in {"/", "\\"} or not goal.isprintable():
        return "/"
    return goal
