"""Values as people read them: 1234567 cents of EUR in, `12,345.67` out."""

from datetime import date, datetime

from report_service.document import Value, ValueKind
from report_service.money import amount_of, digits_of

_NOTHING = "–"  # noqa: RUF001 - an en dash, as typesetters mark an empty place
_MINUTE_S = 60


def shown(value: Value, kind: ValueKind, currency: str | None = None) -> str:
    """The value as text; amounts without their currency, which the table names."""
    if value is None:
        return _NOTHING
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value, kind, currency)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _number(value: float, kind: ValueKind, currency: str | None) -> str:
    if kind == "money" and currency is not None:
        return f"{amount_of(int(value), currency):,.{digits_of(currency)}f}"
    if kind == "share":
        return f"{value:.1%}"
    if kind == "seconds":
        return f"{value * 1000:,.0f} ms" if value < 1 else _duration(value)
    return f"{value:,}"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    return f"{minutes:,} min {rest} s"
