"""What a handler's return annotation says that it causes."""

from typing import Any

import pytest

from shared.contracts import EmailBounced, EmailSent, Event
from shared.jobs import Group, Snooze
from shared.jobs.declared import event_types_in


@pytest.mark.parametrize(
    ("annotation", "types"),
    [
        (EmailSent, ["email.sent"]),
        (EmailSent | EmailBounced | Snooze | None, ["email.bounced", "email.sent"]),
        (list[EmailSent | EmailBounced], ["email.bounced", "email.sent"]),
        (tuple[EmailSent, int] | EmailSent, ["email.sent"]),
        (dict[str, Any], []),
        (list[Event], []),
        (Group, []),
        (None, []),
        ("nothing that was resolved", []),
    ],
)
def test_the_contracts_in_a_return_annotation_are_what_a_handler_can_cause(
    annotation: Any, types: list[str]
) -> None:
    assert event_types_in(annotation) == types
