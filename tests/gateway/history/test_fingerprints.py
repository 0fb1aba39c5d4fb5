"""Which failures are one: by handler, error type and the innermost of one's own functions."""

import traceback
from typing import Any

import pytest

from gateway.history.fingerprints import fingerprint_of, in_general

OURS = "/srv/app/email_service/handlers.py"
LIBRARY = "/srv/venv/lib/python3.13/site-packages/httpx/_client.py"
STANDARD = "/usr/lib/python3.13/asyncio/tasks.py"


def failed(*frames: tuple[str, int, str], type_: str = "RelayBusy", message: str = "busy") -> dict[str, Any]:
    lines = [f'  File "{path}", line {line}, in {function}\n    x()\n' for path, line, function in frames]
    stack = "Traceback (most recent call last):\n" + "".join(lines) + f"{type_}: {message}\n"
    return {"type": type_, "message": message, "stack": stack}


def digits(error: dict[str, Any] | None, *, handler: str = "email.send", reason: str = "exhausted") -> str:
    return fingerprint_of(handler, error, reason).digits


def test_the_innermost_own_function_tells_where_whatever_library_raised() -> None:
    error = failed((OURS, 12, "send"), (OURS, 41, "deliver"), (LIBRARY, 900, "post"), (STANDARD, 5, "wait"))

    found = fingerprint_of("email.send", error, "exhausted")

    assert found.frame == "email_service/handlers.py:41 in deliver"
    assert len(found.digits) == 16
    assert int(found.digits, 16) >= 0


def test_another_line_or_message_is_the_same_failure() -> None:
    before = failed((OURS, 12, "send"), (LIBRARY, 900, "post"), message="no answer from 10.0.0.1")
    after = failed((OURS, 57, "send"), (LIBRARY, 903, "send"), message="connection reset")

    assert digits(before) == digits(after)


@pytest.mark.parametrize(
    "other",
    [
        failed((OURS, 12, "send"), type_="KeyError"),
        failed((OURS, 12, "send_again")),
        failed(("/srv/app/email_service/mailer.py", 12, "send")),
    ],
)
def test_another_type_function_or_file_is_another_failure(other: dict[str, Any]) -> None:
    assert digits(other) != digits(failed((OURS, 12, "send")))


def test_another_handler_is_another_failure() -> None:
    assert digits(failed((OURS, 12, "send"))) != digits(failed((OURS, 12, "send")), handler="email.welcome")


def test_a_service_that_is_installed_as_libraries_are_has_frames_of_its_own() -> None:
    installed = "/app/lib/python3.13/site-packages/email_service/handlers.py"
    error = failed(
        (installed, 12, "send"), ("/app/lib/python3.13/site-packages/httpx/_client.py", 900, "post")
    )

    assert fingerprint_of("email.send", error, None).frame == "email_service/handlers.py:12 in send"


def test_of_a_chain_of_errors_the_last_one_counts_and_of_a_group_the_group() -> None:
    frame = fingerprint_of("a.b", _error(_chained), None).frame
    grouped = fingerprint_of("a.b", _error(_grouped), None)

    assert frame is not None
    assert frame.endswith("in _chained")
    assert grouped.frame is not None
    assert grouped.frame.endswith("in _grouped")


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (failed((OURS, 12, "send"), (LIBRARY, 900, "post")), "36b856350bd3608a"),
        (failed(("C:\\srv\\app\\email_service\\handlers.py", 12, "send")), "36b856350bd3608a"),
        (failed((OURS, 12, "send"), ("/src/shared/jobs/once.py", 3, "once")), "776699750593b9ce"),
    ],
)
def test_a_failure_keeps_the_fingerprint_that_dead_jobs_have_in_the_database(
    error: dict[str, Any], kept: str
) -> None:
    assert digits(error) == kept


def test_without_a_frame_of_ones_own_the_message_in_general_decides() -> None:
    one = {"type": "WorkerLost", "message": "the worker mail-1:4312:ab12 was silent", "stack": ""}
    two = {"type": "WorkerLost", "message": "the worker mail-2:77:cd34 was silent", "stack": ""}
    other = {"type": "WorkerLost", "message": "the worker was killed", "stack": ""}

    assert fingerprint_of("a.b", one, None).frame is None
    assert digits(one) == digits(two)
    assert digits(one) != digits(other)
    assert digits(None, reason="invalid") != digits(None, reason="expired")


@pytest.mark.parametrize(
    ("message", "general"),
    [
        ("user 17 is unknown", "user ? is unknown"),
        ("no such key: 'ada@example.com'", "no such key: ?"),
        ('file "a b.csv" is empty', "file ? is empty"),
        ("it can't and won't", "it can't and won't"),
        ("order 0192f0c1-7a3b-7cde-8f01-23456789abcd is gone", "order ? is gone"),
        ("at 0xdeadbeef or deadbeef", "at ? or ?"),
        ("", ""),
    ],
)
def test_a_message_in_general_is_without_what_is_of_one_occurrence(message: str, general: str) -> None:
    assert in_general(message) == general


def test_odd_errors_have_a_fingerprint_too() -> None:
    odd: dict[str, Any] = {"type": None, "message": ["\ud800"], "stack": 7}

    assert len(digits(odd)) == 16


def _chained() -> None:
    try:
        _fails()
    except ValueError as error:
        raise LookupError("later") from error


def _grouped() -> None:
    errors: list[Exception] = []
    try:
        _fails()
    except ValueError as error:
        errors.append(error)
    raise ExceptionGroup("several", errors)


def _fails() -> None:
    raise ValueError("first")


def _error(raising: Any) -> dict[str, Any]:
    try:
        raising()
    except Exception as error:  # noqa: BLE001 - any error will do
        stack = "".join(traceback.format_exception(error, limit=None))
        return {"type": type(error).__qualname__, "message": str(error), "stack": stack}
    raise AssertionError
