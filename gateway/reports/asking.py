"""What may be asked for: a request's body in, the same checked against the calendar and the users out."""

from datetime import date
from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.door.email_address import EmailAddress
from gateway.door.problem_kinds import INVALID
from gateway.door.problems import Refused
from gateway.door.uuids import as_uuid
from gateway.tables import users
from shared.contracts import ReportFormat, ReportKind
from shared.errors import Problem

_FIRST: Final = date(1970, 1, 1)
_LAST: Final = date(9998, 12, 31)


class NewReport(BaseModel):
    """What is to be reported about, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: ReportKind
    format: ReportFormat
    first_day: date
    last_day: date = Field(description="Included")
    user_id: str | None = Field(default=None, description="Whose; with customer_statement, and only with it")
    email_to: EmailAddress | None = Field(default=None, description="Who gets it by mail as well")


def check(report: NewReport, *, most_days: int) -> None:
    """Refused with 422 and a pointer when the days or the user make no sense."""
    _check_days(report, most_days)
    _check_user_is_wanted(report)


async def check_user(connection: AsyncConnection, user_id: str) -> None:
    """Refused with 422 when nobody is registered under this id."""
    id_ = as_uuid(user_id)
    statement = select(users.c.id).where(users.c.id == id_)
    if id_ is None or (await connection.execute(statement)).first() is None:
        raise _fault("/user_id", "no user has this id")


def _check_days(report: NewReport, most_days: int) -> None:
    if report.first_day < _FIRST:
        raise _fault("/first_day", f"is before {_FIRST}")
    if report.last_day > _LAST:
        raise _fault("/last_day", f"is after {_LAST}")
    if report.last_day < report.first_day:
        raise _fault("/last_day", "is before first_day")
    days = (report.last_day - report.first_day).days + 1
    if days > most_days:
        raise _fault("/last_day", f"{days} days are more than the {most_days} that one report may be about")


def _check_user_is_wanted(report: NewReport) -> None:
    is_statement = report.kind == "customer_statement"
    if is_statement and report.user_id is None:
        raise _fault("/user_id", "is needed: whose statement it is")
    if not is_statement and report.user_id is not None:
        raise _fault("/user_id", f"belongs to a customer_statement, not to {report.kind}")


def _fault(pointer: str, detail: str) -> Refused:
    return Refused(INVALID, f"{pointer[1:]}: {detail}", errors=[Problem(pointer, detail)])
