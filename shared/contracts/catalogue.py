"""The event types that exist: an envelope in, its checked contract out."""

from collections.abc import Iterator

from pydantic import ValidationError

from shared.contracts.envelope import Envelope
from shared.contracts.event import Event
from shared.errors import InvalidData, Problem, UnknownType


class Catalogue:
    """One contract for each event type; two of one type are a mistake in the code and refused."""

    def __init__(self, *contracts: type[Event]) -> None:
        self._contracts: dict[str, type[Event]] = {}
        for contract in contracts:
            self.add(contract)

    def add(self, contract: type[Event]) -> None:
        """Make the contract known; ValueError when its type is taken by another."""
        known = self._contracts.setdefault(contract.type, contract)
        if known is not contract:
            raise ValueError(f"{contract.__name__} and {known.__name__} are both {contract.type!r}")

    def __iter__(self) -> Iterator[type[Event]]:
        return iter(self._contracts.values())

    @property
    def types(self) -> tuple[str, ...]:
        """The known types, sorted."""
        return tuple(sorted(self._contracts))

    def contract(self, type_: str) -> type[Event]:
        """The contract of the type; UnknownType names those that are known."""
        try:
            return self._contracts[type_]
        except KeyError:
            raise UnknownType(type_, self.types) from None

    def check(self, envelope: Envelope) -> Event:
        """The envelope's data as its contract; UnknownType or InvalidData with a pointer for each fault."""
        return check(self.contract(envelope.type), envelope)


def check(contract: type[Event], envelope: Envelope) -> Event:
    """The envelope's data as this contract; InvalidData with a pointer for each fault."""
    if not is_json(envelope.content_type):
        raise InvalidData(
            f"{envelope.type} carries {envelope.content_type!r}, its contract is JSON",
            [Problem("", "the data must be application/json")],
        )
    try:
        return contract.model_validate_json(envelope.data)
    except ValidationError as error:
        problems = [
            Problem(pointer(fault["loc"]), fault["msg"])
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        first = problems[0]
        raise InvalidData(
            f"the data is no {envelope.type}: {first.pointer or 'it'}: {first.detail}", problems
        ) from None


def is_json(content_type: str) -> bool:
    """Whether the media type is JSON (`application/json`, `application/vnd.x+json; charset=utf-8`)."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def pointer(location: tuple[int | str, ...]) -> str:
    """A place in a JSON document as RFC 6901 writes it: `/items/0/sku`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in location)
