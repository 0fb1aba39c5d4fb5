"""What an examination finds: how bad it is, what, why it matters, and what to do."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class Level(enum.StrEnum):
    """`fault` is lost or stuck work, now or at the next accident; `warning` is to be looked at this week."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at; what is ok has no `why` and nothing to `do`."""

    about: str
    level: Level
    what: str
    why: str = ""
    do: str = ""


def ok(about: str, what: str) -> Finding:
    """All is well with it."""
    return Finding(about=about, level=Level.OK, what=what)


def warning(about: str, what: str, *, why: str, do: str) -> Finding:
    """Somebody should look at it."""
    return Finding(about=about, level=Level.WARNING, what=what, why=why, do=do)


def fault(about: str, what: str, *, why: str, do: str) -> Finding:
    """Somebody must do something."""
    return Finding(about=about, level=Level.FAULT, what=what, why=why, do=do)


def worst(findings: Iterable[Finding]) -> Level:
    """The level of them all."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.FAULT, Level.WARNING) if level in levels), Level.OK)
