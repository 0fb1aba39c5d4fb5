"""Names in archives: a name and where it links to in, why unpacking it would be dangerous out."""

import re
from pathlib import PurePosixPath
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE: Final = re.compile(r"[A-Za-z]:")


def unsafe_because(name: str, link: str | None = None) -> str | None:
    """Why the entry must not be unpacked as it is; None when it may."""
    path = name.replace("\\", "/")
    if path.startswith("/") or _DRIVE.match(path):
        return "an absolute path"
    if ".." in path.split("/"):
        return "a path that leads out of the archive"
    if _CONTROL.search(name):
        return "a control character in its name"
    if link is not None and _leads_out(path, link.replace("\\", "/")):
        return "a link that leads out of the archive"
    return None


def _leads_out(path: str, link: str) -> bool:
    if link.startswith("/") or _DRIVE.match(link):
        return True
    depth = len(PurePosixPath(path).parts) - 1
    for step in link.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(step, 1)
        if depth < 0:
            return True
    return False
