"""What a contract is: a frozen pydantic model with an event type; and the field types that they share."""

from typing import Annotated, ClassVar, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints


class Event(BaseModel):
    """The data of one type of event. A breaking change is a new type: `order.created.v2`.

    Values are checked strictly (`"1"` is no number); fields that the contract does not know are
    ignored, so a producer may add some before its consumers know them.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    type: ClassVar[str]


class WrittenEvent(NamedTuple):
    """An event as it was written down before: its data were made by the contract of its type then."""

    type: str
    data: bytes

    @classmethod
    def of(cls, event: "Event | WrittenEvent") -> "WrittenEvent":
        """The event, written down."""
        if isinstance(event, WrittenEvent):
            return event
        return cls(event.type, event.__pydantic_serializer__.to_json(event))


def _number_as_text(value: object) -> object:
    """Other systems often number their things; here an id is opaque text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


EntityId = Annotated[
    str,
    BeforeValidator(_number_as_text),
    StringConstraints(min_length=1, max_length=128, pattern=r"^[^\s\x00-\x1f\x7f]+$"),
]
"""The id of a user, an order, a mail: opaque text without white space, up to 128 characters."""

Address = Annotated[
    str,
    StringConstraints(
        max_length=254, pattern=r'^[^\s@<>()\[\],;:\\"\x00-\x1f\x7f]+@[^\s@<>()\[\],;:\\"\x00-\x1f\x7f]+$'
    ),
]
"""One mail address, without display name; the pattern lets no second recipient or header through."""

Line = Annotated[str, StringConstraints(min_length=1, max_length=998, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""One line of text: no line break or other control character, so that it may stand in a header."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""The name of a person or a thing, on one line."""
