"""The words of a job's page: what helps, the request that made it, values as text."""

import json
import os
import subprocess
from pathlib import Path

from gateway.operations.explanation import Code
from monitor.pages.advice import advice
from monitor.pages.cloud_event import attributes_of, curl_of, of_view
from monitor.pages.document import SHOWN_MAX, document

VIEW = {
    "id": "019a",
    "type": "email.requested",
    "source": "/shop",
    "subject": None,
    "time": "2026-11-23T12:00:00Z",
    "data": {"to": "o'hara@example.com", "text": "$HOME `id`\n"},
    "attributes": {
        "traceparent": "00-ab-cd-01",
        "causationid": "018f",
        "datacontenttype": "application/json",
    },
    "accepted_at": "2026-11-23T12:00:01Z",
}
ENDED = {Code.FINISHED, Code.CANCELLED, Code.EXPIRED, Code.RUNNING}


def test_every_cause_that_the_gateway_can_name_comes_with_what_helps() -> None:
    for code in set(Code) - ENDED:
        told = advice({"code": code.value, "sentence": "Because.", "facts": {}}, "email.send")

        assert told.helps, code


def test_the_facts_of_a_cause_are_told_but_for_those_that_the_page_shows_anyway() -> None:
    facts = {"note": "the relay moves", "since": "2026-11-23T12:00:00Z", "attempt": 2, "until": None}

    told = advice({"code": "paused", "sentence": "The handler is paused.", "facts": facts}, "email.send")

    assert [(fact.name, fact.value, fact.is_instant) for fact in told.facts] == [
        ("note", "the relay moves", False),
        ("since", "2026-11-23T12:00:00Z", True),
    ]
    assert told.look == ("/handlers/email.send", "Handler")


def test_a_cause_of_a_later_gateway_is_told_as_it_is() -> None:
    told = advice({"code": "eclipse", "sentence": "The moon is in the way.", "facts": {"moons": 1}}, "a.b")

    assert (told.sentence, told.helps, told.look) == ("The moon is in the way.", "", None)


def test_the_request_for_a_shell_says_what_was_published_and_holds_no_key(tmp_path: Path) -> None:
    command = curl_of(of_view(VIEW))

    arguments = _arguments_of(command, tmp_path)
    sent = json.loads(arguments[arguments.index("--data-raw") + 1])
    assert sent == {
        "specversion": "1.0",
        "id": "019a",
        "source": "/shop",
        "type": "email.requested",
        "time": "2026-11-23T12:00:00Z",
        "datacontenttype": "application/json",
        "data": VIEW["data"],
    }
    assert arguments[1] == "http://127.0.0.1:8000/v1/events"
    assert "Authorization: Bearer from-the-environment" in arguments


def test_a_job_for_one_handler_is_asked_for_by_its_handler(tmp_path: Path) -> None:
    event = of_view(VIEW | {"attributes": {"handler": "email.send"}})

    arguments = _arguments_of(curl_of(event), tmp_path)

    assert arguments[1] == "http://127.0.0.1:8000/v1/jobs"
    assert json.loads(arguments[-1]) == {"handler": "email.send", "id": "019a", "data": VIEW["data"]}


def test_attributes_begin_with_the_best_known() -> None:
    names = [name for name, _ in attributes_of(of_view(VIEW))]

    assert names == [
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "datacontenttype",
        "causationid",
        "traceparent",
    ]


def test_values_are_indented_and_long_ones_cut() -> None:
    assert document({"a": [1]}).text == '{\n  "a": [\n    1\n  ]\n}'
    assert document("plain").text == "plain"
    long = document("x" * (SHOWN_MAX + 1))
    assert (len(long.text), long.length, long.is_cut) == (SHOWN_MAX, SHOWN_MAX + 1, True)


def _arguments_of(command: str, folder: Path) -> list[str]:
    """What a shell makes of it: a program named curl tells its arguments."""
    program = folder / "curl"
    program.write_text('#!/bin/sh\nfor one; do printf "%s\\0" "$one"; done\n')
    program.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "TRUNKLINE_API_KEY": "from-the-environment"}
    told = subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, check=True)
    return told.stdout.decode().split("\0")[:-1]
