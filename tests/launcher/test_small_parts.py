"""Ports, logs, scales and settings: the parts that need no process."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import pytest

from launcher.environment import Given
from launcher.errors import ScaleInvalid
from launcher.logs import LogFile, Terminal
from launcher.ports import free_port, holder_of, is_free
from launcher.services import SERVICES, parse_scale


def test_no_port_is_handed_out_twice() -> None:
    ports = [free_port() for _ in range(100)]

    assert len(set(ports)) == 100


def test_a_taken_port_names_its_holder() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        port = server.getsockname()[1]

        assert not is_free(port)
        assert "pid" in (holder_of(port) or "")


def test_a_full_log_keeps_the_one_before_it(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "email.log", largest_bytes=10)

    for line in ("first", "second", "third"):
        log.write(line)

    assert (tmp_path / "email.log").read_text() == "third\n"
    assert (tmp_path / "email.log.1").read_text() == "second\n"


def test_lines_carry_the_name_of_their_process_and_colours_only_on_a_terminal() -> None:
    out = io.StringIO()

    Terminal(out).printer("email.1")("job.finished")

    assert out.getvalue() == "email.1      | job.finished\n"


def test_a_quiet_terminal_shows_the_launcher_alone() -> None:
    out = io.StringIO()
    terminal = Terminal(out, quiet=True)

    terminal.printer("email.1")("job.finished")
    terminal.say("stopped")

    assert out.getvalue() == "trunkline    | stopped\n"


def test_a_scale_sets_the_number_of_processes() -> None:
    assert parse_scale(["email=3"], SERVICES) == {service.name: 1 for service in SERVICES} | {"email": 3}


@pytest.mark.parametrize(
    ("scale", "why"),
    [
        ("mail=2", "there is no service 'mail', known are email"),
        ("email=many", "write it as service=number"),
        ("gateway=2", "listens on one port"),
    ],
)
def test_a_scale_that_cannot_be_followed_says_why(scale: str, why: str) -> None:
    with pytest.raises(ScaleInvalid, match=why):
        parse_scale([scale], SERVICES)


def test_what_the_user_gave_wins_also_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "smtp").write_text("smtp://mail.example.org\n")
    given = Given({"SMTP_URL_FILE": str(tmp_path / "smtp"), "LEASE": "5"})

    variables = given.with_defaults(
        {"SMTP_URL": "smtp://127.0.0.1", "LEASE": "30", "FILES_URL": "file:///files"}
    )

    assert given.get("SMTP_URL") == "smtp://mail.example.org"
    assert "SMTP_URL" not in variables
    assert (variables["LEASE"], variables["FILES_URL"]) == ("5", "file:///files")
