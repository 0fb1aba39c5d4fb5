"""`python -m bench.page results.json [docs/performance.md]`: writes the page anew and measures nothing."""

import argparse
import sys
from pathlib import Path

import msgspec

from bench.page import write_page
from bench.page.blocks import PageInvalid
from bench.page.page import FORM
from bench.result import Results


def main() -> int:
    """Write the page; 2 for results or a page that cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("results", type=Path, help="what `python -m bench --json` wrote")
    parser.add_argument("page", type=Path, nargs="?", default=FORM, help="docs/performance.md by default")
    chosen = parser.parse_args()
    try:
        written = write_page(Results.load(chosen.results), chosen.page)
    except (OSError, msgspec.DecodeError, PageInvalid) as error:
        sys.stderr.write(f"{chosen.results}: {error}\n")
        return 2
    sys.stdout.writelines(f"{path}\n" for path in written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
