"""Settings: what is wrong stops the start, and says how to write it."""

import pytest

from report_service.settings import ReportSettings
from shared.errors import SettingsError


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORT_WEEKLY", "orders_summary:pdf, sales_by_product:xlsx")
    monkeypatch.setenv("REPORT_EMAIL_TO", "ada@example.com, grace@example.com,")
    monkeypatch.setenv("REPORT_TIME_ZONE", "Europe/Berlin")

    settings = ReportSettings.load()

    assert [str(one) for one in settings.report_weekly] == ["orders_summary:pdf", "sales_by_product:xlsx"]
    assert settings.report_email_to == ("ada@example.com", "grace@example.com")
    assert str(settings.report_time_zone) == "Europe/Berlin"


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("REPORT_WEEKLY", "everything:pdf", "orders_summary:pdf"),
        ("REPORT_DAILY", "customer_statement:pdf", "customer_statement:pdf is no report"),
        ("REPORT_EMAIL_TO", "ada", "ada is no mail address"),
        ("REPORT_TIME_ZONE", "Mars/Olympus", "Europe/Berlin"),
        ("REPORT_TIME_ZONE", "../etc/passwd", "is no time zone"),
        ("REPORT_MAX_ROWS", "0", "REPORT_MAX_ROWS"),
        ("REPORT_FONTS", "/no/such/folder", "REPORT_FONTS"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=why):
        ReportSettings.load()
