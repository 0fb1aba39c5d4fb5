"""The filter language of the lists."""

from datetime import UTC, datetime

import pytest

from monitor.live.page import BadQuestion
from monitor.pages.query import Term, parse

NAMES = ("handler", "error", "event", "since", "until")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_terms_and_text_become_parameters_of_the_api() -> None:
    query = parse('relay hung handler:email.send error:"Read timeout" event:42', names=NAMES)

    assert query.parameters() == {
        "handler": "email.send",
        "error": "Read timeout",
        "event_id": "42",
        "text": "relay hung",
    }


def test_a_filter_is_written_in_one_way() -> None:
    one = parse('error:"a b" handler:x.y  text', names=NAMES)
    other = parse('text handler:x.y error:"a b"', names=NAMES)

    assert str(one) == str(other) == 'handler:x.y error:"a b" text'
    assert parse(str(one), names=NAMES) == one


def test_since_counts_from_now_or_is_an_instant() -> None:
    parameters = parse("since:90m until:2026-03-01T11:00:00Z", names=NAMES).parameters(now=NOON)

    assert parameters["since"].startswith("2026-03-01T10:30:00")
    assert parameters["until"].startswith("2026-03-01T11:00:00")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("since:yesterday", "since: takes 15m"),
        ("handler:", "handler: has no value"),
        ("ab", "at least 3 characters"),
        ("x" * 501, "longer than 500"),
    ],
)
def test_what_cannot_be_understood_is_said(text: str, why: str) -> None:
    with pytest.raises(BadQuestion, match=why):
        parse(text, names=NAMES)


def test_what_is_no_term_of_the_list_is_text() -> None:
    query = parse("email.send:0192-abc", names=NAMES)

    assert query.terms == [Term("", "email.send:0192-abc")]


def test_terms_are_taken_away_and_exchanged() -> None:
    query = parse("handler:a.b error:E", names=NAMES)

    assert str(query.without(Term("error", "E"))) == "handler:a.b"
    assert str(query.having("handler", "c.d")) == "error:E handler:c.d"
