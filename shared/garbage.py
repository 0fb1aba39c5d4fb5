"""The garbage collector of a process that has started: it looks at what comes and goes, not at what stays."""

import gc
from typing import Final

# At thousands of jobs a second the usual 700, 10, 10 are passed at each turn of the loop.
_THRESHOLDS: Final = (50_000, 20, 100)


def settle() -> None:
    """What lives now lives as long as the process: the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
