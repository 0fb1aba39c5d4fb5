"""What a page of the monitor is: a request in, a view out that can be drawn again and again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request

from monitor.drawing.fragments import Drawing
from shared.api import GatewayApi


class BadQuestion(ValueError):
    """The address asks for something that cannot be shown; the message is for the reader."""


@dataclass(frozen=True)
class View:
    """One way to look at a page. Two requests with the same `url` see the same, whoever asks."""

    url: str
    """Canonical: path and parameters in one order, so that all who look at it share it."""
    draw: Callable[[GatewayApi], Awaitable[Drawing]]


class Page(Protocol):
    """A page that stays true while it is looked at."""

    path: str
    """With parameters as Starlette writes them: `/jobs/{job_id}`."""
    place: str
    """Which entry of the navigation it belongs to, by its path."""

    def view(self, request: Request) -> View:
        """The view that is asked for; BadQuestion where there is none."""
        ...
