"""Writes the pages that come from code: `python -m docs.generate` (or `make docs`).

A test fails while they are stale. A published contract that would break is not written, but refused.
"""

import json
import sys
from pathlib import Path

from docs.events_page import events_page
from docs.schemas import breaking_changes, schema_of
from docs.settings_page import settings_page
from shared.contracts import CATALOGUE

HERE = Path(__file__).parent


def pages() -> dict[Path, str]:
    """Every generated file with its content."""
    found = {HERE / "events.md": events_page(), HERE / "settings.md": settings_page()}
    for contract in CATALOGUE:
        path = HERE / "schemas" / f"{contract.type}.json"
        found[path] = json.dumps(schema_of(contract), indent=2, sort_keys=True) + "\n"
    return found


def broken_contracts() -> list[str]:
    """What the contracts in the code would break of those that were published, one line each."""
    broken: list[str] = []
    for path in sorted((HERE / "schemas").glob("*.json")):
        published = json.loads(path.read_text())
        contract = next((one for one in CATALOGUE if one.type == path.stem), None)
        if contract is None:
            broken.append(f"{path.stem}: the type is gone")
        else:
            broken += [f"{path.stem}: {what}" for what in breaking_changes(published, schema_of(contract))]
    return broken


def main() -> int:
    """Write what changed; 1 when a published contract would break."""
    if broken := broken_contracts():
        lines = "\n  ".join(broken)
        sys.stderr.write(f"a breaking change needs a new type (order.created.v2):\n  {lines}\n")
        return 1
    for path, content in pages().items():
        if not path.exists() or path.read_text() != content:
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
            sys.stdout.write(f"wrote {path.relative_to(HERE.parent)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
