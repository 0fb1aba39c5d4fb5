"""A template's name and its values in, an HTML response out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

FOLDER = Path(__file__).parent.parent

_HEADERS = {
    # No script and no inline style runs on any page; the drawings are SVG attributes.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_MS_US = 1_000
_S_US = 1_000_000
_MINUTE_US = 60 * _S_US
_HOUR_US = 60 * _MINUTE_US


class Renderer:
    """Draws pages from monitor/templates; everything that spans say is escaped."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def __call__(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """The page."""
        html = self._templates.get_template(template).render(_COMMON | values)
        return HTMLResponse(html, status_code=status, headers=_HEADERS)


def took(duration_us: int) -> str:
    """A length of time for people: `850 µs`, `12.3 ms`, `1.50 s`, `2 min 5 s`."""
    if duration_us < _MS_US:
        return f"{duration_us} µs"
    if duration_us < _S_US:
        digits = 6 - len(str(duration_us))  # three figures: 1.23, 12.3, 123
        return f"{duration_us / _MS_US:.{digits}f} ms"
    if duration_us < _MINUTE_US:
        return f"{duration_us / _S_US:.2f} s"
    if duration_us < _HOUR_US:
        return f"{duration_us // _MINUTE_US} min {duration_us % _MINUTE_US // _S_US} s"
    return f"{duration_us // _HOUR_US} h {duration_us % _HOUR_US // _MINUTE_US} min"


def instant(at_us: int) -> str:
    """An instant in UTC, to the millisecond; text for a clock that is out of all bounds."""
    try:
        at = datetime.fromtimestamp(at_us / _S_US, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return "no valid time"
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}"


def ago(at_us: int, now_us: int) -> str:
    """How long ago, in one unit: `just now`, `40 s ago`, `3 min ago`."""
    past = timedelta(microseconds=max(now_us - at_us, 0))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count = int(past.total_seconds()) // length
        if count:
            return f"{count} {unit} ago"
    return "just now"


_COMMON: dict[str, object] = {"fault": None, "took": took, "instant": instant, "ago": ago}
