"""What is said about mail: it was requested, sent or bounced."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from shared.contracts.event import Address, EntityId, Event, FileName, Line, MediaType, ObjectKey, Part

TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""The name of a template of the email service: lower case, no path."""

FieldText = Annotated[str, StringConstraints(max_length=10_000)]
Body = Annotated[str, StringConstraints(min_length=1, max_length=200_000)]


class Attachment(Part):
    """A file of the object store that goes along with a mail."""

    key: ObjectKey
    name: FileName
    """What the recipient sees."""
    media_type: MediaType


class EmailRequested(Event):
    """A mail is to be sent: by a template with its fields, or with subject and text (and html)."""

    type: ClassVar[str] = "email.requested"

    email_id: EntityId
    to: Address
    template: TemplateName | None = None
    fields: dict[str, FieldText | int | float | bool | None] = Field(default_factory=dict, max_length=100)
    subject: Line | None = None
    text: Body | None = None
    html: Body | None = None
    attachments: list[Attachment] = Field(default_factory=list, max_length=10)

    @model_validator(mode="after")
    def _one_kind_of_content(self) -> Self:
        written = self.subject is not None and self.text is not None
        if (self.template is None) != written or (self.template and (self.subject or self.text or self.html)):
            raise ValueError("give either template and fields, or subject and text (and html)")
        return self


class EmailSent(Event):
    """The relay took the mail."""

    type: ClassVar[str] = "email.sent"

    email_id: EntityId
    relay_id: str
    """What the relay answered: its queue id, or its whole line."""


class EmailBounced(Event):
    """The relay refused the mail for good."""

    type: ClassVar[str] = "email.bounced"

    email_id: EntityId
    reason: str
