"""`up`, `down` and `status` on stand-in services, without servers."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from launching import ELSEWHERE, environment_of, is_alive, running_state, until

if TYPE_CHECKING:
    from launching import Cli


def test_the_state_is_the_users_alone(running: Cli) -> None:
    file = running.data / "state.json"

    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_bytes())["pid"] == running.running[0].pid


def test_services_are_told_where_everything_is(running: Cli) -> None:
    state = running_state(running)

    gateway = environment_of(state.gateway or "")
    email = environment_of((state.processes["email.1"].metrics or "").removesuffix("/metrics"))
    monitor = environment_of(state.monitor or "")

    assert {name: email[name] for name in ELSEWHERE} == ELSEWHERE
    assert email["API_KEYS"] == f"{state.api_key}=publish+read+operate+admin"
    assert email["FILES_URL"] == (running.data / "files").as_uri()
    assert email["METRICS_PORT"] != gateway["METRICS_PORT"]
    assert email["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://127.0.0.1:{monitor['OTLP_PORT']}"
    assert state.gateway == f"http://127.0.0.1:{gateway['PORT']}"
    assert "MONITOR_MAIL" not in monitor  # mail goes to the user's own server


def test_what_the_user_set_wins(running: Cli) -> None:
    email = environment_of(
        (running_state(running).processes["email.1"].metrics or "").removesuffix("/metrics")
    )

    assert (email["LEASE"], email["LOG_FORMAT"]) == ("5", "text")


def test_status_shows_each_process(running: Cli) -> None:
    code, table, _ = running.call("status")
    _, as_json, _ = running.call("status", "--json")

    assert code == 0
    assert [process["state"] for process in json.loads(as_json)["processes"]] == ["ready"] * 3
    assert "monitor.1" in table
    assert (running_state(running).gateway or "?") in table


def test_a_killed_service_is_started_again_and_the_state_tells_its_new_pid(running: Cli) -> None:
    before = running_state(running).processes["email.1"]

    os.kill(before.pid, signal.SIGKILL)

    until(lambda: running_state(running).processes["email.1"].restarts == 1, "the state tells the restart")
    after = running_state(running).processes["email.1"]
    assert after.pid != before.pid
    assert after.metrics == before.metrics


def test_a_folder_in_use_names_the_launcher_and_its_url(running: Cli) -> None:
    state = running_state(running)

    code, _, error = running.call("up", "--port", "0")

    assert code == 1
    assert f"is in use by launcher {state.pid} ({state.gateway})" in error
    assert error.count("\n") == 1


def test_a_second_system_runs_beside_the_first_and_stops_alone(
    running: Cli, make_cli: Callable[..., Cli]
) -> None:
    second = make_cli("second", **ELSEWHERE)

    state = second.up()
    code, said, _ = second.call("down")

    assert (code, said) == (0, f"stopped the system on {second.data}\n")
    assert second.running[0].wait() == 0
    assert not (second.data / "state.json").exists()
    assert second.call("status")[0] == 3
    assert state.gateway != running_state(running).gateway
    assert state.api_key != running_state(running).api_key
    assert running.call("status")[0] == 0


def test_the_gateway_is_stopped_first_and_the_monitor_last(cli: Cli) -> None:
    cli.up("--scale", "email=2")

    cli.running[0].send_signal(signal.SIGINT)

    output = cli.output()
    assert cli.stops.read_text().split() == ["gateway", "email", "email", "monitor"]
    assert "email.2      | email listens" in output
    assert "Trunkline is ready." in output
    assert (cli.data / "logs" / "email.2.log").read_text() == "email listens\n"


def test_a_second_signal_stops_at_once(cli: Cli) -> None:
    state = cli.up(STANDIN_IGNORES_SIGTERM="gateway")
    launcher = cli.running[0]
    launcher.send_signal(signal.SIGTERM)
    until(lambda: not cli.data.joinpath("state.json").exists(), "it drains")

    launcher.send_signal(signal.SIGTERM)

    assert launcher.wait(timeout=5) == 0
    assert not any(is_alive(process.pid) for process in state.processes.values())


def test_a_service_that_keeps_dying_stops_the_start_with_its_own_words(cli: Cli) -> None:
    failed = cli.run("up", "--port", "0", "--monitor-port", "0", STANDIN_FAILS="email")

    assert failed.returncode == 1
    assert "email.1 did not start: exited with code 1\n  email.1 | email: DATABASE_URL" in failed.stderr
    assert cli.state() is None
    assert cli.call("status")[0] == 3


def test_a_detached_system_is_ready_when_the_command_returns(cli: Cli) -> None:
    started = cli.run("up", "--port", "0", "--monitor-port", "0", "--detach")

    state = running_state(cli)
    assert started.returncode == 0
    assert f"gateway  {state.gateway}" in started.stdout
    assert state.api_key in started.stdout
    assert cli.call("status")[0] == 0


def test_a_detached_system_that_cannot_start_says_why(cli: Cli) -> None:
    code, _, error = cli.call("up", "--port", "0", "--detach", "--scale", "mail=2")

    assert code == 2
    assert error.startswith("trunkline: --scale mail=2: there is no service 'mail'")


def test_a_taken_port_is_refused_before_anything_starts(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = cli.run("up", "--port", str(port))

    assert refused.returncode == 2
    assert refused.stderr.startswith(f"trunkline: port {port} is taken by ")
    assert refused.stderr.endswith("choose another port with --port\n")
    assert not list((cli.data / "logs").glob("*"))


def test_a_folder_of_another_version_is_one_line_and_exit_code_2(cli: Cli) -> None:
    cli.data.mkdir()
    (cli.data / "version").write_text("trunkline 0\n")

    code, _, error = cli.call("up")

    assert code == 2
    assert "made by another version of Trunkline (format 0, here is 1)" in error
    assert error.count("\n") == 1


def test_down_is_content_where_nothing_ever_ran(cli: Cli) -> None:
    code, said, _ = cli.call("down")

    assert (code, said) == (0, f"nothing runs on {cli.data}\n")
    assert not cli.data.exists()
