"""What the report service reads from the environment, beside what every process reads."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, DirectoryPath, Field, TypeAdapter, ValidationError
from pydantic_settings import NoDecode

from shared.contracts import Address, ReportFormat, ReportKind
from shared.settings import Duration, Secret, Settings

_SCHEDULED_KINDS: Final[tuple[ReportKind, ...]] = ("orders_summary", "sales_by_product", "system_activity")
_FORMATS: Final[tuple[ReportFormat, ...]] = ("pdf", "xlsx", "csv", "json")
_address: Final = TypeAdapter[str](Address)


class Scheduled(NamedTuple):
    """A report that a schedule asks for."""

    kind: ReportKind
    format: ReportFormat

    def __str__(self) -> str:
        return f"{self.kind}:{self.format}"


def _words(value: object) -> list[str]:
    given = value.split(",") if isinstance(value, str) else value
    return [str(word).strip() for word in given if str(word).strip()] if isinstance(given, Sequence) else []


def _addresses(value: object) -> tuple[str, ...]:
    words = _words(value)
    for word in words:
        try:
            _address.validate_python(word)
        except ValidationError:
            raise ValueError(f"{word} is no mail address; give ada@example.com,grace@example.com") from None
    return tuple(words)


def _scheduled(value: object) -> tuple[Scheduled, ...]:
    """Of `orders_summary:pdf,...` each; a default is one already."""
    known = {
        f"{kind}:{format_}": Scheduled(kind, format_) for kind in _SCHEDULED_KINDS for format_ in _FORMATS
    }
    found: list[Scheduled] = []
    for word in _words(value):
        if word not in known:
            raise ValueError(
                f"{word} is no report for a schedule; give, comma-separated, some of {', '.join(known)}"
            )
        found.append(known[word])
    return tuple(found)


def _zone(value: object) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value} is no time zone; give a name such as Europe/Berlin") from None


class ReportSettings(Settings):
    """The settings of one report service process."""

    database_url: Secret = Secret("postgresql://127.0.0.1:5432/trunkline")
    """Postgres: the read model that reports are made of."""
    database_pool_size: Annotated[int, Field(ge=1, le=50)] = 8
    """How many connections to Postgres are kept."""
    files_url: Secret = Secret("file:///tmp/trunkline/files")
    """Where reports are kept: `file:///folder`, `s3://bucket/prefix`, `gs://...`, `az://...`."""

    report_time_zone: Annotated[ZoneInfo, BeforeValidator(_zone)] = ZoneInfo("UTC")
    """In which time zone the days of reports begin and end: an IANA name."""
    report_issuer: Annotated[str, Field(min_length=1, max_length=100)] = "Trunkline"
    """Whose reports they are, as their covers say."""
    report_fonts: DirectoryPath | None = None
    """A folder of fonts for PDF, beside those bundled and installed: for scripts that these lack."""
    report_daily: Annotated[tuple[Scheduled, ...], NoDecode, BeforeValidator(_scheduled)] = (
        Scheduled("orders_summary", "pdf"),
    )
    """What `cron.daily_report` makes of the day before: `<kind>:<format>`, comma-separated."""
    report_weekly: Annotated[tuple[Scheduled, ...], NoDecode, BeforeValidator(_scheduled)] = (
        Scheduled("orders_summary", "pdf"),
        Scheduled("sales_by_product", "xlsx"),
    )
    """What `cron.weekly_report` makes of the week before, Monday to Sunday."""
    report_email_to: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_addresses), Field(max_length=51)
    ] = ()
    """Who gets the daily and weekly reports by mail, comma-separated; nobody: they are only stored."""
    report_max_days: Annotated[int, Field(ge=1, le=3660)] = 366
    """How many days one report may be about."""
    report_max_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000
    """How many rows one report may have."""
    report_max_pdf_rows: Annotated[int, Field(ge=1, le=10_000)] = 5_000
    """The same for PDF, whose typesetting takes some 100 KB of memory a row."""
    report_read_limit: Duration = timedelta(seconds=30)
    """How long Postgres may take for the rows of a report."""
    report_mail_max: Annotated[int, Field(ge=1)] = 10_000_000
    """Larger files, in bytes, are not attached to a mail; it says where they are."""
    report_ttl: Duration = timedelta(days=90)
    """How long a report is kept; older ones are removed at `cron.cleanup`."""
