"""The settings of the email service: the defaults work, and a wrong value stops the start with one line."""

import sys
from datetime import timedelta

import pytest

from email_service.__main__ import main
from email_service.settings import EmailSettings
from shared.errors import SettingsError


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SMTP_URL", "DATABASE_URL", "MAIL_FROM", "MAIL_DOMAIN", "MAIL_UNKNOWN"):
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_fit_a_system_on_one_machine() -> None:
    settings = EmailSettings.load()

    assert str(settings.relay) == "127.0.0.1:1025"
    assert settings.mail_unknown == "resend"


def test_nothing_is_left_open_at_the_end_of_the_grace_period_before_the_content() -> None:
    settings = EmailSettings.load()

    assert settings.limits.offer < settings.grace


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_URL", "mail.test:25"),
        ("SMTP_POOL_SIZE", "0"),
        ("SMTP_ANSWER_TIMEOUT", "601"),
        ("MAIL_FROM", "nobody"),
        ("MAIL_DOMAIN", "a b"),
        ("MAIL_UNKNOWN", "maybe"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=name):
        EmailSettings.load()


def test_seconds_and_iso_durations_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_ANSWER_TIMEOUT", "PT10M")
    monkeypatch.setenv("SMTP_CONNECT_TIMEOUT", "0.5")

    limits = EmailSettings.load().limits

    assert (limits.answer, limits.connect) == (timedelta(minutes=10), timedelta(seconds=0.5))


def test_a_wrong_setting_ends_the_service_with_one_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://ada:hunter2@mail.test/inbox")
    monkeypatch.delitem(sys.modules, "email_service.app", raising=False)

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("email: SMTP_URL: ")
    assert line.count("\n") == 1
    assert "hunter2" not in line
