"""`trunkline jobs` and `events`, against a gateway with a worker: what is printed, and how it ends."""

import json
from uuid import uuid4

import pytest
from operating import MAIL, USER, System


@pytest.fixture(scope="module")
def sent(system: System) -> str:
    return system.publish()


@pytest.fixture(scope="module")
def dead(system: System) -> str:
    return system.publish(text="fail")


@pytest.fixture
def waiting(system: System) -> list[str]:
    """Three jobs of a handler that is paused."""
    system.run("handlers", "pause", "lab.greet")
    ids: list[str] = []
    for _ in range(3):
        accepted = system.run("events", "publish", "user.registered", json.dumps(USER), "--json").json
        ids += [job["id"] for job in accepted["jobs"]]
    return ids


def test_a_list_is_a_line_a_job_where_a_program_reads_it(system: System, sent: str, dead: str) -> None:
    rows = {row[0]: row[1] for row in system.run("jobs", "ls").rows}

    assert (rows[sent], rows[dead]) == ("succeeded", "dead")


def test_a_filter_leaves_the_others_out(system: System, sent: str, dead: str) -> None:
    found = system.run("jobs", "ls", "--state", "dead", "--handler", "lab.send", "--since", "1h").rows

    assert dead in [row[0] for row in found]
    assert sent not in [row[0] for row in found]


def test_json_is_what_the_api_said(system: System, sent: str) -> None:
    shown = system.run("jobs", "show", sent, "--json").json

    assert (shown["id"], shown["state"], shown["result"]) == (sent, "succeeded", {"sent": "m-1"})
    assert {"attempts", "caused", "queued_at", "trace_id"} < shown.keys()


@pytest.mark.usefixtures("sent", "dead")
def test_a_list_goes_on_where_it_ended(system: System) -> None:
    first = system.run("jobs", "ls", "--limit", "1", "--json").json

    second = system.run("jobs", "ls", "--limit", "1", "--cursor", first["next"], "--json").json

    assert len(first["items"]) == len(second["items"]) == 1
    assert first["items"][0]["id"] != second["items"][0]["id"]


def test_what_came_from_elsewhere_moves_no_cursor(system: System, dead: str) -> None:
    shown = system.run("jobs", "show", dead)

    assert "relay says" in shown.out
    assert "\x1b" not in shown.out


@pytest.mark.parametrize(
    ("words", "key", "code"),
    [
        (("jobs", "show", f"lab.send:{uuid4()}"), "all-of-it", 4),
        (("jobs", "ls"), "of-nobody", 5),
        (("handlers", "pause", "lab.send"), "only-read", 5),
        (("jobs", "ls", "--since", "yesterday"), "all-of-it", 2),
        (("jobs", "cancel"), "all-of-it", 2),
        (("jobs", "retry", "a.b:c", "--all"), "all-of-it", 2),
        (("jobs", "ls"), "line\nbreak", 2),
        (("jobs", "ls", "--url", "ftp://elsewhere"), "all-of-it", 2),
        (("jobs", "ls", "--url", "http://127.0.0.1:1"), "all-of-it", 3),
        (("jobs", "watch"), "all-of-it", 2),
        (("jobs", "ls", "--state", "asleep"), "all-of-it", 2),
    ],
)
def test_each_kind_of_error_has_its_code_and_words_on_stderr(
    system: System, words: tuple[str, ...], key: str, code: int
) -> None:
    ran = system.run(*words, key=key)

    assert (ran.code, ran.out) == (code, "")
    assert ran.err
    assert "Traceback" not in ran.err
    assert key not in ran.err


def test_a_refused_order_ends_with_1(system: System, sent: str) -> None:
    ran = system.run("jobs", "cancel", sent)

    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
    assert "succeeded" in ran.err


def test_watching_ends_as_the_job_did(system: System, sent: str, dead: str) -> None:
    succeeded, failed = system.run("jobs", "watch", sent), system.run("jobs", "watch", dead, "--json")

    assert (succeeded.code, failed.code) == (0, 1)
    assert succeeded.rows[-1][:2] == [sent, "succeeded"]
    assert failed.json["state"] == "dead"


def test_a_paused_handler_is_the_cause_and_resuming_it_the_advice(system: System, waiting: list[str]) -> None:
    explained = system.run("jobs", "explain", waiting[0])

    assert explained.facts["cause"] == "paused"
    assert "trunkline handlers resume lab.greet" in explained.facts["do"]


def test_one_job_is_cancelled_and_run_again_without_a_question(system: System, waiting: list[str]) -> None:
    cancelled = system.run("jobs", "cancel", waiting[0])
    watched = system.run("jobs", "watch", waiting[0])
    again = system.run("jobs", "retry", waiting[0])

    assert (cancelled.code, cancelled.facts["id"]) == (0, waiting[0])
    assert watched.code == 4
    assert again.facts == {"id": waiting[0], "state": "queued"}


def test_publishing_waits_for_the_jobs_and_ends_as_they_did(system: System) -> None:
    sent = system.run("events", "publish", "email.requested", json.dumps(MAIL), "--wait")
    failed = system.run("events", "publish", "email.requested", json.dumps(MAIL | {"text": "fail"}), "--wait")

    assert (sent.code, failed.code) == (0, 1)
    assert sent.err.startswith("succeeded  lab.send:")


def test_data_comes_from_stdin_or_a_file(system: System) -> None:
    from_stdin = system.run("events", "publish", "email.requested", "-", "--json", stdin=json.dumps(MAIL))
    shown = system.run("events", "show", from_stdin.json["event_id"], "--json").json

    assert shown["data"] == MAIL
    assert shown["source"] == "/trunkline/cli"
    assert system.run("events", "publish", "email.requested", "@/none/there").code == 2
    assert system.run("events", "publish", "email.requested", "{").code == 2


def test_the_same_id_again_does_nothing_and_says_so(system: System) -> None:
    words = ("events", "publish", "email.requested", json.dumps(MAIL), "--id", "order-4711", "--subject", "ä")
    first, second = system.run(*words), system.run(*words)

    assert first.facts["event"] == second.facts["event"]
    assert "before" in second.err


def test_an_event_for_later_has_its_instant(system: System) -> None:
    words = ("--deliver-at", "2h", "--expires-at", "3h", "--json")
    accepted = system.run("events", "publish", "email.requested", json.dumps(MAIL), *words).json

    attributes = system.run("events", "show", accepted["event_id"], "--json").json["attributes"]

    assert attributes["deliverat"] < attributes["expirytime"]
    assert system.run("jobs", "cancel", accepted["jobs"][0]["id"]).code == 0


def test_data_that_breaks_the_contract_names_the_field(system: System) -> None:
    ran = system.run("events", "publish", "email.requested", "{}")

    assert ran.code == 1
    assert "/to" in ran.err
