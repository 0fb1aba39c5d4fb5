"""Compiled modules are kept for the length of a run and the next, also where Python is told to write none.

Without it each of the processes that tests start compiles all of its libraries: 8 s more for a whole system.
It stands above tests/conftest.py to come before all that imports.
"""

import os
from pathlib import Path

from launcher.bytecode import keep_bytecode, with_bytecode

_FOLDER = Path(__file__).parent / ".pytest_cache" / "bytecode"

_kept = with_bytecode(os.environ, _FOLDER)
for _name in set(os.environ) - set(_kept):
    del os.environ[_name]
os.environ.update(_kept)
keep_bytecode(_FOLDER)
