"""What a schedule is: JSON from the API or a table of the file in, a checked Definition out."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    StringConstraints,
)
from pydantic_core import to_json

from shared.schedules.misfire import Misfire, Overlap, Policy
from shared.schedules.times import Timing

_LONGEST_CATCH_UP: Final = timedelta(days=366)
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9998
_LONGEST_JITTER: Final = timedelta(hours=1)
_SHORT: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(s|m|h|d|)")
_UNITS: Final = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _length(value: object) -> object:
    """`90`, `"90"`, `"5m"` or ISO 8601, which pydantic reads, as a length of time."""
    if isinstance(value, bool):
        raise ValueError("is no length of time; give seconds, or text as 5m")  # noqa: TRY004 - pydantic's way
    if isinstance(value, str) and (short := _SHORT.fullmatch(value.strip())):
        value = timedelta(**{_UNITS[short[2]]: float(short[1])})
    return value


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise ValueError("must not be less than 0 s")
    return value


def _seconds(value: timedelta) -> float:
    seconds = value.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _fit_for_postgres(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if rb"\u0000" in to_json(value):
        raise ValueError("must not contain the character U+0000")
    return value


def _utc(value: datetime) -> datetime:
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError(f"must be in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return value.astimezone(UTC)


Length = Annotated[
    timedelta,
    BeforeValidator(_length),
    AfterValidator(_not_negative),
    PlainSerializer(_seconds, return_type=int | float),
]
"""Seconds (`300`), `5m`, `2h`, `1d` or ISO 8601 (`PT5M`); written as seconds."""
Instant = Annotated[AwareDatetime, AfterValidator(_utc)]
"""From 1970 to 9998, in UTC."""

ScheduleName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
"""Lower-case letters, digits, `.`, `_` and `-`: it stands in URLs."""
Data = Annotated[dict[str, JsonValue], AfterValidator(_fit_for_postgres)]
Note = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]


class Definition(BaseModel):
    """A schedule as its author says it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: ScheduleName = Field(examples=["stock-report"])
    cron: str | None = Field(
        default=None,
        max_length=200,
        description="Minute, hour, day, month, weekday.",
        examples=["0 9 * * MON"],
    )
    every: Length | None = Field(
        default=None, description="In place of cron: a period, as seconds, `5m` or ISO 8601."
    )
    timezone: str = Field(default="UTC", max_length=100, description="IANA name.", examples=["Europe/Warsaw"])
    type: str = Field(description="The type of the event that a tick publishes.", examples=["cron.cleanup"])
    data: Data = Field(
        default={}, description="Its data; `{schedule}`, `{tick}` and `{date}` in text are filled in."
    )
    misfire: Misfire = Field(default="fire_once", description="What becomes of ticks that were missed.")
    catch_up: Annotated[Length, Field(le=_LONGEST_CATCH_UP)] = Field(
        default=timedelta(hours=1), description="A missed tick that is older does not fire."
    )
    overlap: Overlap = Field(
        default="allow", description="`skip`: no tick fires while jobs of an earlier one have not ended."
    )
    jitter: Annotated[Length, Field(le=_LONGEST_JITTER)] = Field(
        default=timedelta(0), description="A tick fires up to so much later, each by its own share of it."
    )
    starts_at: Instant | None = Field(default=None, description="No tick is before.")
    ends_at: Instant | None = Field(default=None, description="No tick is after.")

    @property
    def timing(self) -> Timing:
        """Its times; TimingError when they are none."""
        return Timing(
            cron=self.cron,
            every=self.every,
            timezone=self.timezone,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
        )

    def policy(self, *, is_paused: bool) -> Policy:
        """How its ticks are handled."""
        return Policy(self.misfire, self.catch_up, self.overlap, is_paused)

    def changed(self, changes: dict[str, Any]) -> dict[str, Any]:
        """The fields with these changes, to be checked; of cron and every the new one replaces the old."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        if changes.get("every") is not None:
            fields["cron"] = None
        elif changes.get("cron") is not None:
            fields["every"] = None
        return fields | changes
