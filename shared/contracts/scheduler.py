"""What the scheduler says by itself: the ticks of the four schedules that every system has."""

from typing import ClassVar

from pydantic import AwareDatetime

from shared.contracts.event import Event, Name


class Tick(Event):
    """A schedule was due."""

    schedule: Name
    tick: AwareDatetime
    """The instant that was due, which may lie before the one at which this was said."""


class CleanupDue(Tick):
    """Every service removes what it need not keep any longer."""

    type: ClassVar[str] = "cron.cleanup"


class DailyReportDue(Tick):
    """The report about the day before is due."""

    type: ClassVar[str] = "cron.daily_report"


class WeeklyReportDue(Tick):
    """The report about the week before, Monday to Sunday, is due."""

    type: ClassVar[str] = "cron.weekly_report"


class HealthCheckDue(Tick):
    """Each service is asked whether it answers."""

    type: ClassVar[str] = "cron.health_check"
