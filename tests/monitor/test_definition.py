"""A schedule's definition as a form, and back."""

import pytest

from monitor.orders.definition import definition_of, fields_of
from monitor.orders.faults import of_fields
from monitor.orders.order import WrongField
from shared.api import Refusal

DEFINITION = {
    "cron": None,
    "every": 90,
    "timezone": "Europe/Warsaw",
    "type": "email.requested",
    "data": {"to": "ada@example.com"},
    "misfire": "skip",
    "catch_up": 7200,
    "overlap": "allow",
    "jitter": 0,
    "starts_at": None,
    "ends_at": "2026-12-31T12:00:00.000000Z",
}


def test_a_definition_comes_back_from_its_form_as_it_was_typed() -> None:
    fields = {field.name: field.value for field in fields_of(DEFINITION)}

    given = definition_of(lambda name: fields.get(name, ""))

    assert (fields["every"], fields["catch_up"], fields["cron"]) == ("90s", "2h", "")
    assert given == {**DEFINITION, "every": "90s", "catch_up": "2h", "jitter": "0s"}


def test_what_is_left_empty_is_none_or_is_not_said() -> None:
    given = definition_of(lambda _name: "")

    assert given == {"cron": None, "every": None, "starts_at": None, "ends_at": None, "data": {}}


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_data_that_are_no_json_are_the_fields_fault(text: str) -> None:
    with pytest.raises(WrongField, match="data: is no JSON"):
        definition_of(lambda name: text if name == "data" else "")


def test_a_refusal_names_the_fields() -> None:
    errors = [
        {"pointer": "#/cron", "detail": "has 4 fields"},
        {"pointer": "#/data/to", "detail": "is missing"},
    ]

    fault = of_fields(Refusal(422, {"detail": "invalid", "errors": errors}))

    assert str(fault) == "cron: has 4 fields; data.to: is missing"
    assert str(of_fields(Refusal(422, {"detail": "no"}))) == "no"
