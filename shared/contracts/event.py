"""What a contract is: a frozen pydantic model with an event type; and the field types that they share."""

from typing import Annotated, ClassVar, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints


class Event(BaseModel):
    """The data of one type of event. A breaking change is a new type: `order.created.v2`.

    Values are checked strictly (`"1"` is no number); fields that the contract does not know are
    ignored, so a producer may add some before its consumers know them.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    type: ClassVar[str]


class Part(BaseModel):
    """A part of an event's data: an item of an order, a line of a list."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


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

MediaType = Annotated[
    str,
    StringConstraints(
        max_length=200, pattern=r"^[A-Za-z0-9][\w.+-]*/[A-Za-z0-9][\w.+-]*( *;[^\x00-\x1f\x7f]*)?$"
    ),
]
"""`text/csv`, `text/csv; charset=utf-8`."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""In lower case hexadecimal digits."""

SizeBytes = Annotated[int, Field(ge=0)]

FileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f/\\.][^\x00-\x1f\x7f/\\]*$"),
]
"""One segment of a path: no slash of either kind, no dot at its beginning."""

ObjectKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=500, pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*$"),
]
"""Where something lies in the object store: segments of letters, digits, `.`, `_`, `-`, with `/` between."""
