"""`trunkline dead`, `handlers`, `workers`, `schedules`, `keys`: against a gateway with a worker."""

import pytest
from operating import System


@pytest.fixture(scope="module")
def dead(system: System) -> list[str]:
    return [system.publish(text="fail") for _ in range(2)]


def test_dead_letters_are_listed_and_grouped(system: System, dead: list[str]) -> None:
    listed = [row[0] for row in system.run("dead", "ls", "--handler", "lab.send").rows]
    groups = system.run("dead", "groups", "--json").json["items"]

    assert set(dead) <= set(listed)
    assert (groups[0]["handler"], groups[0]["error"]) == ("lab.send", "ValueError")
    assert system.run("dead", "groups").rows[0][0] == groups[0]["fingerprint"]


def test_a_dead_letter_is_shown_with_its_event_attempts_and_stack(system: System, dead: list[str]) -> None:
    shown = system.run("dead", "show", dead[0])

    assert shown.facts["reason"] == "exhausted"
    assert '"text":"fail"' in shown.facts["data"]
    assert "raise ValueError" in shown.out


def test_a_replay_is_looked_at_asked_about_and_followed(system: System, dead: list[str]) -> None:
    looked = system.run("dead", "replay", *dead, "--dry-run", "--json")
    unasked = system.run("dead", "replay", *dead)
    done = system.run("dead", "replay", *dead, "--yes", "--rate", "1000")

    assert looked.json["matched"] == 2
    assert (unasked.code, len(unasked.err.splitlines())) == (2, 1)
    assert "--yes" in unasked.err
    assert (done.facts["status"], done.facts["queued again"]) == ("done", "2")


def test_what_matches_nothing_is_no_error(system: System) -> None:
    ran = system.run("dead", "replay", "--handler", "lab.none", "--yes")

    assert (ran.code, ran.facts) == (0, {"matched": "0"})


def test_limits_are_set_and_given_back_to_the_code(system: System) -> None:
    changed = system.run("handlers", "set", "lab.send", "--concurrency", "3", "--rate", "2.5", "--json").json
    back = system.run("handlers", "set", "lab.send", "--concurrency", "default", "--rate", "default")

    assert (changed["concurrency"], changed["rate"]) == (3, 2.5)
    assert (back.facts["concurrency"], back.facts["rate"]) == ("-", "-")


def test_a_handler_is_paused_with_a_note_and_resumed(system: System) -> None:
    paused = system.run("handlers", "pause", "lab.send", "--note", "the relay moves")
    listed = {row[0]: row[2] for row in system.run("handlers", "ls").rows}
    resumed = system.run("handlers", "resume", "lab.send")

    assert (paused.facts["status"], paused.facts["note"]) == ("paused", "the relay moves")
    assert listed["lab.send"] == "paused"
    assert resumed.facts["status"] == "active"
    assert system.run("handlers", "set", "lab.send").code == 2
    assert system.run("handlers", "set", "lab.send", "--rate", "fast").code == 2
    assert system.run("handlers", "pause", "lab.none").code == 4


def test_workers_are_listed(system: System) -> None:
    [worker] = system.run("workers", "--json").json["items"]

    assert system.run("workers").rows[0][:2] == [worker["id"], "lab"]


def test_a_schedule_is_entered_edited_run_and_removed(system: System) -> None:
    entered = system.run("schedules", "add", "often", "--type", "cron.health_check", "--every", "30s")
    edited = system.run("schedules", "edit", "often", "--cron", "0 9 * * MON", "--timezone", "Europe/Warsaw")
    paused = system.run("schedules", "pause", "often", "--note", "stocktaking")
    ran = system.run("schedules", "run", "often", "--json").json
    resumed = system.run("schedules", "resume", "often")
    ticks = system.run("schedules", "preview", "often", "--count", "3").rows
    removed = system.run("schedules", "rm", "often")

    assert entered.facts["when"] == "every 30 s"
    assert edited.facts["when"] == "0 9 * * MON Europe/Warsaw"
    assert (paused.facts["status"], paused.facts["note"]) == ("paused", "stocktaking")
    assert ran["schedule"] == "often"
    assert resumed.facts["status"] == "active"
    assert len(ticks) == 3
    assert removed.facts == {"removed": "often"}
    assert system.run("schedules", "show", "often").code == 4
    assert "often" not in [row[0] for row in system.run("schedules", "ls").rows]


def test_a_key_is_alone_on_stdout_works_and_is_revoked(system: System) -> None:
    made = system.run("keys", "create", "ci", "--scope", "read", "--expires-at", "30d")
    key = made.out.strip()
    id_ = next(row[0] for row in system.run("keys", "ls").rows if row[1] == "ci")

    reads, orders = system.run("workers", key=key), system.run("handlers", "pause", "lab.send", key=key)
    revoked = system.run("keys", "revoke", id_)

    assert (made.code, len(made.out.split())) == (0, 1)
    assert id_ in made.err
    assert (reads.code, orders.code, revoked.code) == (0, 5, 0)
    assert system.run("workers", key=key).code == 5


def test_a_bench_without_its_folder_says_what_it_needs(
    system: System, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.operate.bench.CHECKOUT", tmp_path)

    ran = system.run("bench", "--help")

    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "checkout" in ran.err
