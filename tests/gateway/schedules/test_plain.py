"""When a schedule fires, in plain English."""

import pytest

from gateway.schedules.plain import plain
from shared.schedules import Definition


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 0 * * *", "At 00:00 every day, Europe/Warsaw"),
        ("0 9 * * MON-FRI", "At 09:00 on Monday through Friday, Europe/Warsaw"),
        ("*/5 * * * *", "Every fifth minute of every hour, Europe/Warsaw"),
        ("30 2 L * *", "At 02:30 on the last day of every month, Europe/Warsaw"),
        ("0 9 * * mon#1", "At 09:00 on the first Monday of the month, Europe/Warsaw"),
    ],
)
def test_a_cron_expression_is_said_with_its_zone(cron: str, said: str) -> None:
    assert plain(Definition(name="a", cron=cron, timezone="Europe/Warsaw", type="cron.cleanup")) == said


@pytest.mark.parametrize(
    ("every", "said"),
    [
        ("1s", "Every second"),
        ("5m", "Every 5 minutes"),
        (90, "Every minute and 30 seconds"),
        ("1d", "Every day"),
        ("36h", "Every day and 12 hours"),
        (90_061.5, "Every day, 1 hour, 1 minute and 1.5 seconds"),
    ],
)
def test_a_period_is_said_in_words(every: str | float, said: str) -> None:
    assert plain(Definition.model_validate({"name": "a", "every": every, "type": "cron.cleanup"})) == said


def test_a_period_is_counted_from_its_start() -> None:
    definition = {"name": "a", "every": "1h", "type": "cron.cleanup", "starts_at": "2026-01-01T00:30:00Z"}

    said = plain(Definition.model_validate(definition))

    assert said == "Every hour, counted from 2026-01-01T00:30:00.000000Z"
