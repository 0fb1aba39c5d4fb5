"""What a file is called: the client's word in, a harmless last segment of a path out, or why it is none."""

import re
import unicodedata
from typing import Final
from urllib.parse import quote

from gateway.door.problem_kinds import INVALID
from gateway.door.problems import Refused
from shared.errors import Problem

LONGEST_NAME: Final = 200

_SLASHES: Final = re.compile(r"[/\\]")
# Controls, lone surrogates, line and paragraph separators: what no list, header or log should have to show.
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They turn the direction of what follows: "invoice<RLO>fdp.exe" would be shown as "invoiceexe.pdf".
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_PLAIN: Final = re.compile(r"[^A-Za-z0-9 ._()+-]")


def file_name(given: str) -> str:
    """The last segment of what the client calls the file; Refused with 422 when nothing of it can be kept.

    It is shown and sent back, never a path of ours: where the bytes lie is named by the file's id.
    """
    name = _SLASHES.split(unicodedata.normalize("NFC", given))[-1].strip()
    if name in {"", ".", ".."}:
        raise _bad("names no file; give one such as orders.csv")
    if any(unicodedata.category(letter) in _UNPRINTABLE or letter in _TURNING for letter in name):
        raise _bad("has a control character")
    if len(name) > LONGEST_NAME:
        raise _bad(f"has {len(name)} characters, {LONGEST_NAME} are allowed")
    return name


def attachment(name: str) -> str:
    """Content-Disposition of a download: RFC 6266, with a plain name for those who do not read RFC 8187."""
    plain = _PLAIN.sub("_", unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()).strip()
    return f"attachment; filename=\"{plain or 'file'}\"; filename*=UTF-8''{quote(name, safe='')}"


def _bad(fault: str) -> Refused:
    return Refused(INVALID, f"name: {fault}", errors=[Problem("/name", fault)])
