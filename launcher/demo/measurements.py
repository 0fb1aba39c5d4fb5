"""A CSV of made-up measurements: a number of rows in, its bytes out as a client would stream them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROWS = 200_000
_PART = 5_000
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_PLACES = ("Łódź", "Zürich", "São Paulo", "Kraków", "Tromsø")


async def measurements(rows: int = ROWS, *, seed: int = 7) -> AsyncIterator[bytes]:
    """`at,place,sensor,celsius,humidity,note`: the same for the same seed, with some values missing."""
    chance = random.Random(seed)  # noqa: S311 - made-up weather needs no cryptography
    yield b"at,place,sensor,celsius,humidity,note\n"
    for begin in range(0, rows, _PART):
        lines = [_line(chance, row) for row in range(begin, min(begin + _PART, rows))]
        yield "".join(lines).encode()


def _line(chance: random.Random, row: int) -> str:
    at = _FIRST + timedelta(seconds=90 * row)
    celsius = "" if row % 97 == 0 else f"{chance.gauss(11, 9):.2f}"
    note = '"calibrated, then cleaned"' if row % 1009 == 0 else ""
    place = _PLACES[row % len(_PLACES)]
    return f"{at:%Y-%m-%dT%H:%M:%SZ},{place},s{row % 40:02d},{celsius},{chance.randint(20, 98)},{note}\n"
