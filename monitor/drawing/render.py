"""A template's name and its values in; a page, or the main part of one in its named pieces, out."""

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from monitor.drawing import words
from monitor.drawing.assets import Assets
from monitor.drawing.fragments import Drawing, Pieces

FOLDER: Final = Path(__file__).parent.parent

HEADERS: Final = {
    # No inline script and no inline style on any page; the drawings are SVG attributes.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Renderer:
    """Draws from monitor/templates; everything that jobs and spans say is escaped."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        filters = {
            name: getattr(words, name)
            for name in (
                "took", "took_ms", "between", "seconds", "clock", "age", "lasting", "count", "rate",
            )
        }  # fmt: skip
        self._templates.filters.update(filters)
        common: dict[str, Any] = {
            "fault": None,
            "took": words.took,
            "instant": words.instant,
            "ago": words.ago,
            "asset": Assets(FOLDER / "static").url,
        }
        self._templates.globals.update(common)

    def __call__(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """The page."""
        html = self._templates.get_template(template).render(values)
        return HTMLResponse(html, status_code=status, headers=HEADERS)

    def part(self, template: str, **values: object) -> str:
        """A piece of a page as text."""
        return self._templates.get_template(template).render(values)

    def drawing(self, template: str, *, title: str, **values: object) -> Drawing:
        """The main part of a page that stays true while it is looked at: see monitor/drawing/fragments.py."""
        pieces = Pieces()
        html = self._templates.get_template(template).render(
            values | {"live": pieces.live, "row": pieces.row, "rows_of": pieces.rows_of, "title": title}
        )
        return Drawing(title, html, pieces.pieces, pieces.rows)
