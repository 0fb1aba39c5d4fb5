"""The generated pages tell what the code does, and published contracts only grow."""

import re
from typing import Any

import pytest

from docs.generate import HERE, broken_contracts, pages
from docs.schemas import breaking_changes, schema_of
from shared.contracts import UserRegistered
from shared.jobs import FINAL, State


def test_the_generated_pages_are_up_to_date() -> None:
    stale = [path.name for path, content in pages().items() if path.read_text() != content]

    assert stale == [], "run `make docs`"


def test_no_published_contract_is_broken() -> None:
    assert broken_contracts() == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"properties": {}}, "name is gone"),
        ({"required": ["user_id", "name", "email", "city"]}, "city is required now"),
    ],
)
def test_a_breaking_change_is_recognised(change: dict[str, Any], complaint: str) -> None:
    published = schema_of(UserRegistered)

    complaints = list(breaking_changes(published, {**published, **change}))

    assert complaint in complaints


def test_a_new_optional_field_breaks_nobody() -> None:
    published = schema_of(UserRegistered)
    grown = {**published, "properties": {**published["properties"], "city": {"type": "string"}}}

    assert list(breaking_changes(published, grown)) == []


def test_the_drawing_of_a_jobs_states_shows_each_of_them() -> None:
    drawing = (HERE / "jobs.md").read_text().partition("```mermaid")[2].partition("```")[0]
    arrows = re.findall(r"(\w+|\[\*\]) --> (\w+|\[\*\])", drawing)

    assert {target for _, target in arrows} - {"[*]"} == set(State)
    # What is final changes only when it is run again.
    assert {target for source, target in arrows if source in FINAL} <= {"[*]", "queued"}
