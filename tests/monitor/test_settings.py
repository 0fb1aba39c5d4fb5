"""A wrong setting stops the start with one line."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from monitor.settings import Settings
from shared.errors import SettingsError
from tests.monitor.running import start_and_fail


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PORT", "http", "PORT: "),
        ("OTLP_PORT", "70000", "OTLP_PORT: "),
        ("OTLP_PORT", "8001", "PORT and OTLP_PORT are both 8001"),
        ("OTLP_FORWARD_URL", "jaeger:4318", "OTLP_FORWARD_URL: "),
        ("TRACE_SPANS_MAX", "0", "TRACE_SPANS_MAX: "),
        ("TRACE_RETENTION", "-5", "TRACE_RETENTION: "),
        ("API_KEYS", "s3cret", "entry 1 is not <key>=<scope>+<scope>"),
        ("API_KEYS", "ok=read,s3cret=wizard", "entry 2 has a scope"),
    ],
)
def test_a_wrong_value_is_named_with_its_reason_and_no_key_is_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as raised:
        Settings.load()

    assert reason in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_the_process_ends_with_2_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    below_a_file = {"PORT": "0", "OTLP_PORT": "0", "MONITOR_DATA": str(tmp_path / "file" / "below")}

    with ThreadPoolExecutor() as both:
        wrong, unusable = both.map(start_and_fail, ({"PORT": "http"}, below_a_file))

    assert (wrong.returncode, unusable.returncode) == (2, 2)
    assert wrong.stderr.startswith("monitor: PORT: ")
    assert unusable.stderr.startswith("monitor: MONITOR_DATA: ")
    assert [ended.stderr.count("\n") for ended in (wrong, unusable)] == [1, 1]
