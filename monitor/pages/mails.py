"""The inbox: `/mail?q=&cursor=` in, a page of its newest mails out; and `/mail/{mail_id}`, one of them."""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

from starlette.requests import Request

from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer
from monitor.live.page import View
from monitor.mail.mailbox import MOST, Mailbox
from shared.api import GatewayApi, Refusal
from shared.clock import rfc3339

_ON_A_PAGE: Final = 50
_LONGEST: Final = 200
_KB: Final = 1_000


class MailsPage:
    """Mails, the newest first."""

    path = "/mail"
    place = "/mail"

    def __init__(self, renderer: Renderer, mailbox: Mailbox) -> None:
        self._render = renderer
        self._mailbox = mailbox

    def view(self, request: Request) -> View:
        """The mails in which the text is found, from this place on."""
        text = " ".join(request.query_params.get("q", "")[:_LONGEST].split())
        cursor = request.query_params.get("cursor", "")

        async def draw(api: GatewayApi) -> Drawing:
            del api  # mails are on the disk
            return await self._draw(text, cursor)

        return View(mails_url(text, cursor), draw)

    async def _draw(self, text: str, cursor: str) -> Drawing:
        listed = await self._mailbox.newest()
        found = [mail for mail in listed if mail.says(text)]
        here = [mail for mail in found if not cursor or mail.id < cursor]
        shown = here[:_ON_A_PAGE]
        return self._render.drawing(
            "mails.html",
            title="Mail",
            mails=[(mail, rfc3339(mail.arrived_at)) for mail in shown],
            found=len(found),
            is_cut=len(listed) >= MOST,
            most=MOST,
            text=text,
            cursor=cursor,
            older=mails_url(text, shown[-1].id) if len(here) > len(shown) else None,
            url=mails_url,
            mail_url=mail_url,
            size=size,
        )


class MailPage:
    """One mail."""

    path = "/mail/{mail_id}"
    place = "/mail"

    def __init__(self, renderer: Renderer, mailbox: Mailbox) -> None:
        self._render = renderer
        self._mailbox = mailbox

    def view(self, request: Request) -> View:
        """The mail of that id."""
        mail_id: str = request.path_params["mail_id"]

        async def draw(api: GatewayApi) -> Drawing:
            del api
            return await self._draw(mail_id)

        return View(mail_url(mail_id), draw)

    async def _draw(self, mail_id: str) -> Drawing:
        found = await self._mailbox.mail(mail_id)
        if found is None:
            raise no_such_mail()
        stored, mail = found
        return self._render.drawing(
            "mail.html",
            title=mail.named["subject"] or "Mail without a subject",
            mail=mail,
            named=mail.named,
            arrived_at=rfc3339(stored.arrived_at),
            size_bytes=stored.size_bytes,
            url=mails_url,
            mail_url=lambda part="": mail_url(mail_id, part),
            size=size,
        )


def no_such_mail() -> Refusal:
    """As the gateway says that something is not there."""
    return Refusal(HTTPStatus.NOT_FOUND, {"title": "Not here", "detail": "no mail has this id"})


def mails_url(text: str = "", cursor: str = "") -> str:
    """The address of the list."""
    asked = urlencode({name: value for name, value in {"q": text, "cursor": cursor}.items() if value})
    return f"/mail?{asked}" if asked else "/mail"


def mail_url(mail_id: str, part: str = "") -> str:
    """The address of a mail, or of something of it."""
    return "/".join(["/mail", quote(mail_id, safe=""), *([part] if part else [])])


def size(size_bytes: int) -> str:
    """`850 B`, `12.3 kB`, `1.2 MB`."""
    if size_bytes < _KB:
        return f"{size_bytes} B"
    if size_bytes < _KB**2:
        return f"{size_bytes / _KB:.1f} kB"
    return f"{size_bytes / _KB**2:.1f} MB"
