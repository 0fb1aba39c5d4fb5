"""Compiled modules where Python is told to write none: a folder in; processes that start quickly out.

PYTHONDONTWRITEBYTECODE is common in containers, to keep source trees clean. It makes each service compile all
of its libraries at each start: 5 s of processor time for the gateway instead of 1. A cache in the data folder
leaves the tree clean and the start quick.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SWITCH = "PYTHONDONTWRITEBYTECODE"


def keep_bytecode(folder: Path) -> None:
    """Let this process keep what it imports from now on."""
    if sys.dont_write_bytecode:
        sys.pycache_prefix = str(folder)
        sys.dont_write_bytecode = False


def with_bytecode(variables: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment of a child, with a cache in place of the switch."""
    if not variables.get(_SWITCH):
        return dict(variables)
    others = {name: value for name, value in variables.items() if name != _SWITCH}
    return {"PYTHONPYCACHEPREFIX": str(folder)} | others
