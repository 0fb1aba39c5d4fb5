"""Tracebacks as Python writes them, in parts: real ones, made here."""

import json
import traceback
from collections.abc import Callable

import pytest

from shared.stacks import own_place, parse_stack


def _raised(fail: Callable[[], object]) -> str:
    try:
        fail()
    except Exception as error:  # noqa: BLE001 -- any error's text will do
        return "".join(traceback.format_exception(error))
    raise AssertionError("nothing was raised")


def _read_nonsense() -> None:
    json.loads("{")


def _chained() -> None:
    try:
        _read_nonsense()
    except ValueError as error:
        raise KeyError("order") from error


def _grouped() -> None:
    faults: list[Exception] = []
    for fail in (_read_nonsense, _chained):
        try:
            fail()
        except Exception as error:  # noqa: BLE001 -- both belong into the group
            faults.append(error)
    raise ExceptionGroup("two of them", faults)


def test_own_frames_are_told_from_those_of_libraries() -> None:
    stack = parse_stack(_raised(_read_nonsense))

    kinds = [part.kind for part in stack.parts]
    assert kinds == ["words", "own", "library", "words"]
    assert stack.parts[1].frames == 2
    assert "json.loads" in stack.parts[1].text
    assert stack.parts[2].text.count('File "') == stack.parts[2].frames >= 2
    assert stack.parts[3].text.startswith("json.decoder.JSONDecodeError")
    assert stack.raised is not None
    assert stack.raised.startswith("shared/test_stacks.py:")
    assert stack.raised.endswith(" in _read_nonsense")


@pytest.mark.parametrize("fail", [_read_nonsense, _chained, _grouped])
def test_nothing_of_a_traceback_is_lost(fail: Callable[[], object]) -> None:
    text = _raised(fail)

    assert parse_stack(text).text == text


def test_chained_errors_keep_their_order() -> None:
    words = "".join(part.text for part in parse_stack(_raised(_chained)).parts if part.kind == "words")

    assert words.index("JSONDecodeError") < words.index("direct cause") < words.index("KeyError: 'order'")


def test_errors_in_a_group_are_folded_like_others() -> None:
    parts = parse_stack(_raised(_grouped)).parts

    folded = [part.text for part in parts if part.kind == "library"]
    assert len(folded) == 2
    assert all("json" in text and "test_stacks" not in text for text in folded)
    words = "".join(part.text for part in parts if part.kind == "words")
    assert "+---------------- 2 ----------------" in words
    assert "| KeyError: 'order'" in words


def test_a_service_that_is_installed_as_a_library_is_ones_own_and_the_runtime_is_not() -> None:
    site = "/app/lib/python3.13/site-packages"
    text = (
        "Traceback (most recent call last):\n"
        f'  File "{site}/email_service/handlers.py", line 4, in send\n    deliver()\n    ~~~~~~~^^\n'
        f'  File "{site}/httpx/_client.py", line 9, in send\n    raise error\n'
        '  File "/src/shared/jobs/once.py", line 3, in once\n    yield\n'
        "  [Previous line repeated 12 more times]\n"
        '  File "<frozen runpy>", line 198, in _run\n'
        "httpx.ConnectError: no\n"
    )

    stack = parse_stack(text)

    assert [(part.kind, part.frames) for part in stack.parts] == [
        ("words", 0),
        ("own", 1),
        ("library", 3),
        ("words", 0),
    ]
    assert stack.raised == "email_service/handlers.py:4 in send"
    assert stack.text == text


def test_where_no_frame_is_ones_own_nothing_is_folded() -> None:
    text = 'Traceback:\n  File "/usr/lib/python3.12/json/__init__.py", line 1, in loads\n    x\nValueError\n'

    stack = parse_stack(text)

    assert [part.kind for part in stack.parts] == ["words", "own", "words"]
    assert stack.raised is None


@pytest.mark.parametrize(
    "text", ["", "the worker was silent", "line\nline\n", 'File "x" is missing', "\0\r\n"]
)
def test_text_that_is_no_traceback_is_left_as_it_is(text: str) -> None:
    stack = parse_stack(text)

    assert stack.text == text
    assert all(part.kind == "words" for part in stack.parts)


def test_what_else_ends_a_line_does_not_begin_one() -> None:
    text = 'ValueError: a\x0c  File "/app/a.py", line 1, in a\u2028  File "/app/b.py", line 1, in b\r\n'

    assert [part.kind for part in parse_stack(text).parts] == ["words"]
    assert own_place(text) is None


def test_of_a_chain_the_last_error_tells_the_place_and_of_a_group_the_group() -> None:
    chained, grouped = own_place(_raised(_chained)), own_place(_raised(_grouped))

    assert chained is not None
    assert (chained.file, chained.function) == ("shared/test_stacks.py", "_chained")
    assert grouped is not None
    assert (grouped.file, grouped.function) == ("shared/test_stacks.py", "_grouped")


def test_a_group_that_was_never_raised_has_no_place_whatever_its_errors_have() -> None:
    errors: list[Exception] = []
    try:
        _read_nonsense()
    except ValueError as error:
        errors.append(error)
    text = "".join(traceback.format_exception(ExceptionGroup("never raised", errors)))

    assert own_place(text) is None
    assert parse_stack(text).raised is not None


def test_the_place_of_a_syntax_error_is_a_place_and_no_frame() -> None:
    text = (
        "Traceback (most recent call last):\n"
        '  File "/srv/app/handlers.py", line 4, in send\n    import_module(name)\n'
        '  File "/usr/lib/python3.13/importlib/__init__.py", line 88, in import_module\n    return x\n'
        '  File "C:\\srv\\app\\rules.py", line 7\n    x x\n    ^^^\nSyntaxError: invalid syntax\n'
    )

    place = own_place(text)

    assert place is not None
    assert place.shown == "app/rules.py:7 in ?"
    assert parse_stack(text).raised == "app/handlers.py:4 in send"
    assert "rules.py" in parse_stack(text).parts[-1].text
