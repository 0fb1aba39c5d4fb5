"""The errors that Trunkline raises on purpose, as one tree.

TrunklineError
|-- SettingsError        a setting is missing or wrong; the process does not start
|-- ContractError        bytes that are no event, or an event that breaks its contract
|   |-- EnvelopeError    CloudEvents attributes missing or malformed
|   |-- UnknownType      no contract of this type is in the catalogue
|   |-- UnknownHandler   no handler of this name has ever announced itself
|   `-- InvalidData      the data does not fit the contract of its type
`-- BusUnavailable       a bus refused or did not answer; what was to be published is kept
"""

from collections.abc import Sequence
from typing import NamedTuple


class TrunklineError(Exception):
    """The root: catch it to catch everything that Trunkline raises on purpose."""


class SettingsError(TrunklineError):
    """A setting is missing or wrong; the message names it and says what to give."""


class Problem(NamedTuple):
    """One fault in what came in: where (RFC 6901 pointer, "" for the whole) and what."""

    pointer: str
    detail: str


class ContractError(TrunklineError):
    """Bytes that are no event, or an event that breaks its contract; `problems` says where."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class EnvelopeError(ContractError):
    """CloudEvents attributes are missing or malformed."""


class UnknownType(ContractError):
    """No contract of this type is in the catalogue; `known` lists those that are."""

    def __init__(self, type_: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown event type {type_!r}; known are: {', '.join(known)}")
        self.known = tuple(known)


class UnknownHandler(ContractError):
    """No handler of this name has ever announced itself; `known` lists those that have."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown handler {name!r}; known are: {', '.join(known) or 'none'}")
        self.known = tuple(known)


class InvalidData(ContractError):
    """The data does not fit the contract of its type."""


class BusUnavailable(TrunklineError):
    """A bus refused or did not answer in time; what was to be published is not on it for certain."""
