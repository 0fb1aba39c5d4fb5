"""What needs no gateway: tables that fit, instants, stacks, and whose key goes where."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from launcher.data_folder import DataFolder
from launcher.operate.asking import at
from launcher.operate.errors import Misused, NoSystem
from launcher.operate.instants import Instant, coming, distance, past
from launcher.operate.job_views import job_table, stack_parts
from launcher.operate.stacks import folded
from launcher.state import State, write
from shared.clock import from_rfc3339, rfc3339

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
ID = "email.send_order_confirmation:0192f0c1-7a3b-7cde-8f01-23456789abcd"
JOB: dict[str, Any] = {
    "id": ID,
    "state": "dead",
    "attempt": 5,
    "max_attempts": 5,
    "queued_at": "2026-01-31T12:00:00.000000Z",
    "started_at": None,
    "finished_at": None,
    "error": {"type": "RelayBusy", "message": "try again " * 30},
}
STACK = """Traceback (most recent call last):
  File "/app/mail/handlers.py", line 12, in send
    relay.deliver(mail)
  File "/venv/lib/python3.11/site-packages/relay/client.py", line 80, in deliver
    self._send(mail)
    ^^^^^^^^^^^^^^^^
  File "/app/mail/hooks.py", line 3, in before
    raise RelayBusy
RelayBusy: try again
"""


def _drawn(width: int) -> list[str]:
    out = StringIO()
    job = {**JOB, "queued_at": rfc3339(datetime.now(UTC) - timedelta(minutes=3))}
    Console(file=out, width=width).print(job_table([job]).renderable(width), soft_wrap=True, crop=False)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [200, 120, 90, 80, 50, 20])
def test_an_id_is_whole_on_any_terminal(width: int) -> None:
    title, line = _drawn(width)

    assert title.startswith("ID")
    assert line.split()[0] == ID
    assert len(line.rstrip()) <= max(width, len(ID))


def test_what_matters_most_is_left_where_there_is_little_room() -> None:
    assert "RelayBusy" in _drawn(200)[1]
    assert "(3 min ago)" in _drawn(200)[1]
    assert _drawn(90)[0].split() == ["ID", "STATE", "QUEUED"]
    assert _drawn(80)[0].split() == ["ID", "STATE"]


def test_lines_for_programs_have_every_column_whatever_the_terminal() -> None:
    [line] = job_table([JOB]).lines()

    assert line.split("\t")[:4] == [ID, "dead", "5/5", JOB["queued_at"]]
    assert len(line.split("\t")) == 6


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=0.2), "now"),
        (timedelta(seconds=42), "42 s ago"),
        (timedelta(minutes=3, seconds=20), "3 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(minutes=-90), "in 90 min"),
    ],
)
def test_the_age_of_an_instant_is_told_in_one_unit(ago: timedelta, said: str) -> None:
    assert distance(NOW - ago, NOW) == said


def test_instants_are_in_utc_whatever_the_machine_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")

    assert Instant("2026-11-22T06:00:00.000000Z").full().startswith("2026-11-22 06:00:00Z (")


def test_a_length_of_time_is_counted_from_now() -> None:
    earlier, later = past("15m", "--since"), coming("2h", "--deliver-at")

    assert earlier is not None
    assert later is not None
    assert from_rfc3339(later) - from_rfc3339(earlier) >= timedelta(hours=2, minutes=15)
    assert past("2026-11-22T07:00:00+01:00", "--since") == rfc3339(NOW)


@pytest.mark.parametrize("text", ["yesterday", "15", "2026-11-22T06:00:00", "999999w", ""])
def test_what_is_no_moment_is_refused_with_its_option(text: str) -> None:
    with pytest.raises(Misused, match="--since"):
        past(text, "--since")


def test_frames_of_libraries_are_folded_where_they_stood() -> None:
    assert folded(STACK).splitlines() == [
        "Traceback (most recent call last):",
        '  File "/app/mail/handlers.py", line 12, in send',
        "    relay.deliver(mail)",
        "  ... 1 frame of libraries",
        '  File "/app/mail/hooks.py", line 3, in before',
        "    raise RelayBusy",
        "RelayBusy: try again",
    ]


def test_a_stack_is_shown_in_full_where_that_is_asked_for() -> None:
    assert stack_parts({"error": {"stack": STACK}}, full=True) == [STACK.rstrip("\n")]
    assert stack_parts({"error": {"stack": STACK}}, full=False) == [folded(STACK)]
    assert stack_parts({"error": None}, full=True) == []


def test_in_a_group_of_errors_they_are_folded_within_its_margin() -> None:
    inner = "".join(f"    | {line}\n" for line in STACK.splitlines())
    group = f"  | ExceptionGroup: two (1 sub-exception)\n  +-+---------------- 1 ----------------\n{inner}"

    assert "    |   ... 1 frame of libraries" in folded(group).splitlines()


@pytest.mark.parametrize("text", ["", "no traceback\n  at all", "Traceback (most recent call last):\n"])
def test_what_is_no_traceback_stays_as_it_is(text: str) -> None:
    assert folded(text) == text.rstrip("\n")


def _system(folder: Path, **changes: Any) -> DataFolder:
    made = DataFolder.open(folder)
    nowhere = "redis://127.0.0.1:1"
    state: dict[str, Any] = {
        "gateway": "http://127.0.0.1:8000",
        "monitor": None,
        "redis": nowhere,
        "nats": nowhere,
        "nats_monitor": None,
        "postgres": nowhere,
        "smtp": nowhere,
        "mail": None,
        "api_key": "tl_of_the_folder",
        "pid": 1,
        "processes": {},
    }
    write(made.state_file, State(**state | changes))
    return made


def test_the_system_of_the_folder_is_asked_with_its_key(tmp_path: Path) -> None:
    with _system(tmp_path / "data").claim():
        api = at(tmp_path / "data", None, None)

    assert (api.url, api._key) == ("http://127.0.0.1:8000", "tl_of_the_folder")


def test_the_key_of_the_folder_goes_to_no_other_address(tmp_path: Path) -> None:
    with _system(tmp_path / "data").claim():
        elsewhere = at(tmp_path / "data", "https://elsewhere.example.com", None)
        the_same = at(tmp_path / "data", "http://127.0.0.1:8000/", None)

    assert elsewhere._key is None
    assert the_same._key == "tl_of_the_folder"


def test_what_a_system_left_behind_is_no_system(tmp_path: Path) -> None:
    _system(tmp_path / "data")

    with pytest.raises(NoSystem, match="trunkline up"):
        at(tmp_path / "data", None, None)
