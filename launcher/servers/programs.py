"""Where a server's program lies: its wheel's name in, a path out; PATH is the second place to look."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from pathlib import Path


def in_package(package: str, *parts: str) -> Path | None:
    """The program inside an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return _if_executable(Path(next(iter(spec.submodule_search_locations))).joinpath(*parts))


def in_scripts(distribution: str, program: str) -> Path | None:
    """The program that a wheel put beside the interpreter; such a wheel has no package to look into."""
    try:
        files = importlib.metadata.files(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files or ():
        if file.stem == program and file.parent.name in {"bin", "Scripts"}:
            return _if_executable(Path(str(file.locate())).resolve())
    return None


def on_path(program: str) -> Path | None:
    """The program of the machine, links followed."""
    found = shutil.which(program)
    return Path(found).resolve() if found else None


def _if_executable(path: Path) -> Path | None:
    return path if path.is_file() and os.access(path, os.X_OK) else None
