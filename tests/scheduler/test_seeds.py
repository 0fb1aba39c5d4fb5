"""The file of schedules: entered once, never over what people did; a fault in it stops the start."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from scheduler.__main__ import main
from scheduler.seeds import read_seeds
from scheduler.settings import SchedulerSettings
from shared.errors import SettingsError
from shared.schedules import book
from tests.scheduler.conftest import running
from tests.until import until


def test_a_new_system_has_four_schedules() -> None:
    seeds = read_seeds(SchedulerSettings().seeds)

    assert {seed.name: (seed.type, seed.cron or seed.every) for seed in seeds}.keys() == {
        "cleanup",
        "daily-report",
        "weekly-report",
        "health-check",
    }
    assert all(seed.timezone == "UTC" for seed in seeds)


async def test_what_was_edited_or_removed_is_not_brought_back_by_the_file(
    settings: SchedulerSettings, engine: AsyncEngine
) -> None:
    defaults = settings.model_copy(update={"schedules_file": None})

    async def names() -> list[str]:
        async with engine.connect() as connection:
            return [entry.definition.name for entry in await book.page(connection, after="", limit=9)]

    async with running(defaults):
        await until(names)
    async with engine.begin() as connection:
        entry = await book.find(connection, "cleanup", to_edit=True)
        assert entry is not None
        await book.edit(connection, entry, entry.definition.model_copy(update={"cron": "0 3 * * *"}))
        await book.remove(connection, "weekly-report")
        added = await book.seed(connection, read_seeds(defaults.seeds))
        kept = await book.find(connection, "cleanup")

    assert added == []
    assert await names() == ["cleanup", "daily-report", "health-check"]
    assert kept is not None
    assert kept.definition.cron == "0 3 * * *"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a = 1", r"\[a\]: is no table"),
        ("[a", "cannot read"),
        ('[a]\ncron = "61 * * * *"\ntype = "cron.cleanup"', r"\[a\]: cron: no such minute"),
        ('[a]\nevery = "1h"\ntype = "cron.nothing"', r"\[a\]: unknown event type 'cron.nothing'"),
        ('[a]\nevery = "1h"\ntype = "user.registered"', r"\[a\]: the data is no user.registered: /user_id"),
        ('[a]\nevery = "1h"\ntype = "cron.cleanup"\ncolour = "red"', r"\[a\]: colour"),
    ],
)
def test_a_fault_in_the_file_is_named_with_its_schedule(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "schedules.toml"
    path.write_text(content)

    with pytest.raises(SettingsError, match=told):
        read_seeds(path)


def test_a_file_that_is_not_there_ends_the_start_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCHEDULES_FILE", "/nowhere/schedules.toml")

    assert main() == 2
    line = capsys.readouterr().err
    assert line.startswith("scheduler: SCHEDULES_FILE: cannot read /nowhere")
    assert line.count("\n") == 1
