"""What an order is: first a form that says what would happen, then the call that makes it happen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from starlette.requests import Request

from monitor.door.forms import Fields
from shared.api import GatewayApi


class WrongField(ValueError):
    """A field of the form cannot be read; the message names it."""


@dataclass(frozen=True)
class Field:
    """One field of a form."""

    name: str
    label: str = ""
    value: str = ""
    kind: Literal["text", "number", "area", "select", "check", "hidden"] = "text"
    options: Sequence[str] = ()
    hint: str = ""
    required: bool = False
    least: float | None = None
    most: float | None = None
    step: str = ""


@dataclass(frozen=True)
class Form:
    """What is asked before anything happens. `facts` say what would happen: the dry run, the preview."""

    title: str
    verb: str
    text: str = ""
    fields: Sequence[Field] = ()
    facts: Sequence[tuple[str, str]] = ()
    sample: Sequence[str] = ()
    is_grave: bool = False
    is_possible: bool = True
    """False where there is nothing to do: then the form has no button."""
    previews: bool = False
    """Whether the facts follow from the fields, and are asked for again as they are filled in."""
    back: str = "/"


@dataclass(frozen=True)
class Done:
    """What happened, in one sentence; and where to go on, where that is another page."""

    said: str
    go: str | None = None
    again: Sequence[tuple[str, str]] = field(default=())
    """Fields of the same order, to be sent again at once: there was more than one request may do."""


class Order(Protocol):
    """One thing that can be ordered, at an address of its own."""

    path: str
    place: str

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """What would happen; Refusal and Unreachable as the API raises them."""
        ...

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """Make it happen; WrongField when it cannot be understood."""
        ...
