"""The generated pages tell what the code does, and published contracts only grow."""

from typing import Any

import pytest

from docs.generate import broken_contracts, pages
from docs.schemas import breaking_changes, schema_of
from shared.contracts import UserRegistered


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
