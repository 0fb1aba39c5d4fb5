"""What is around a page's main part: navigation, who looks, what a form needs; an HTML document out."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import HTMLResponse

from monitor.door.sessions import Session, Sessions
from monitor.drawing.fragments import Drawing
from monitor.drawing.render import Renderer


@dataclass(frozen=True)
class Place:
    """An entry of the navigation; `letter` goes there, after `g`."""

    path: str
    name: str
    letter: str


PLACES: Final = (
    Place("/", "Overview", "o"),
    Place("/jobs", "Jobs", "j"),
    Place("/dead", "Dead letters", "d"),
    Place("/handlers", "Handlers", "h"),
    Place("/workers", "Workers", "w"),
    Place("/schedules", "Schedules", "s"),
    Place("/events", "Events", "e"),
    Place("/flow", "Flow", "f"),
    Place("/traces", "Traces", "t"),
)
MAIL: Final = Place("/mail", "Mail", "m")
ONLY_TRACES: Final = (Place("/traces", "Traces", "t"),)


class Layout:
    """Draws documents for one reader at a time."""

    def __init__(self, renderer: Renderer, sessions: Sessions, places: tuple[Place, ...]) -> None:
        self._render = renderer
        self._sessions = sessions
        self._places = places

    def page(
        self, session: Session, drawing: Drawing, *, place: str, stream: str = "", version: str = ""
    ) -> HTMLResponse:
        """A page; with a stream, one that stays true."""
        return self.document(
            session,
            "page.html",
            place=place,
            title=drawing.title,
            main=drawing.html,
            stream=stream,
            version=version,
        )

    def notice(
        self, session: Session, status: int, title: str, text: str, *, again: bool = False
    ) -> HTMLResponse:
        """A page that says why there is none; with `again` it is asked for again by itself."""
        return self.document(session, "notice.html", status=status, title=title, text=text, again=again)

    def document(
        self, session: Session, template: str, *, status: int = 200, place: str = "", **values: object
    ) -> HTMLResponse:
        """Any template that extends base.html."""
        around: dict[str, object] = {
            "session": session,
            "csrf": self._sessions.token(session),
            "places": self._places,
            "place": place,
            "stream": "",
            "version": "",
            "again": False,
        }
        return self._render(template, status=status, **(around | values))
