"""A mail address as it comes in over HTTP: checked for its form alone, without DNS."""

from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, StringConstraints, WithJsonSchema


def _checked(value: str) -> str:
    """The address with its domain in lower case.

    pydantic's EmailStr refuses the domains of RFC 2606 (x@y.test), which every test and demo uses.
    """
    try:
        return validate_email(value, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None


EmailAddress = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[^\x00-\x1f\x7f]+$"),
    AfterValidator(_checked),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
"""One mail address, without display name."""
