"""What a mail carries over HTTP: its HTML for a frame, the parts that came along, the whole as it was sent.

It is a stranger's content on our own site: a policy of its own gives it another origin, no script, no form,
and nothing to fetch; all but the HTML is plain text or a download, and never what its sender calls it.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from monitor.mail.mailbox import Mailbox
from monitor.mail.message import disposition

_LONGEST_NUMBER: Final = 4
_SANDBOX: Final = "sandbox; default-src 'none'; frame-ancestors 'self'"
_HEADERS: Final = {
    "Content-Security-Policy": _SANDBOX,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HTML_HEADERS: Final = _HEADERS | {
    "Content-Security-Policy": f"{_SANDBOX}; img-src data:; style-src 'unsafe-inline'"
}


class MailContents:
    """Serves what mails carry."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def routes(self) -> list[BaseRoute]:
        """Three, below the address of a mail."""
        return [
            Route("/mail/{mail_id}/html", self._html),
            Route("/mail/{mail_id}/raw", self._raw),
            Route("/mail/{mail_id}/parts/{number}", self._part),
        ]

    async def _html(self, request: Request) -> Response:
        found = await self._mailbox.mail(request.path_params["mail_id"])
        if found is None or not found[1].html:
            return _nothing("no mail of this id has HTML")
        return HTMLResponse(found[1].html.encode("utf-8", "replace"), headers=_HTML_HEADERS)

    async def _raw(self, request: Request) -> Response:
        content = await self._mailbox.content(request.path_params["mail_id"])
        if content is None:
            return _nothing("no mail has this id")
        return PlainTextResponse(content, headers=_HEADERS)

    async def _part(self, request: Request) -> Response:
        number: str = request.path_params["number"]
        found = await self._mailbox.mail(request.path_params["mail_id"])
        is_number = number.isascii() and number.isdigit() and len(number) <= _LONGEST_NUMBER
        parts = found[1].attachments if found is not None and is_number else ()
        part = next((one for one in parts if one.number == int(number)), None)
        if part is None:
            return _nothing("no mail of this id has such a part")
        headers = _HEADERS | {"Content-Disposition": disposition(part.name)}
        return Response(part.content, media_type="application/octet-stream", headers=headers)


def _nothing(why: str) -> Response:
    return PlainTextResponse(f"{why}\n", 404, headers=_HEADERS)
