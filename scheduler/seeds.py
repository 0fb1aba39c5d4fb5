"""The schedules that a new system has: a TOML file in, checked definitions out."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.errors import ContractError, SettingsError
from shared.schedules import Definition, TimingError, check_definition


def read_seeds(path: Path) -> list[Definition]:
    """The definitions in the file, a table each; SettingsError names the schedule and what is wrong."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"SCHEDULES_FILE: cannot read {path}: {error}") from error
    return [_definition(path, name, table) for name, table in tables.items()]


def _definition(path: Path, name: str, table: Any) -> Definition:
    where = f"SCHEDULES_FILE: {path}: [{name}]"
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: is no table of a schedule")
    try:
        definition = Definition.model_validate({**table, "name": name})
        check_definition(definition)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(step) for step in first["loc"])
        raise SettingsError(f"{where}: {field}: {first['msg']}") from None
    except TimingError as error:
        raise SettingsError(f"{where}: {error.field}: {error}") from None
    except ContractError as error:
        raise SettingsError(f"{where}: {error}") from None
    return definition
