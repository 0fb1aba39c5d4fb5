from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from launcher.errors import MigrationFailed
from launcher.migrate import migrate
from launcher.revisions import is_up_to_date, newest
from launcher.servers import PostgresServer


def test_the_newest_revision_is_the_one_no_other_builds_on(tmp_path: Path) -> None:
    (tmp_path / "0001_ledger.py").write_text('revision = "ledger_1"\ndown_revision = None\n')
    (tmp_path / "0002_history.py").write_text('revision: str = "ledger_2"\ndown_revision: str = "ledger_1"\n')

    assert newest(tmp_path) == {"ledger_2"}


async def test_a_database_is_up_to_date_when_it_stands_at_the_newest_revision(tmp_path: Path) -> None:
    (tmp_path / "0001_ledger.py").write_text('revision = "ledger_1"\ndown_revision = None\n')
    histories = {"ledger": tmp_path}
    server = PostgresServer(tmp_path / "postgres", durable=False)
    await server.start()

    before = await is_up_to_date(server.url, histories)
    connection = await asyncpg.connect(server.url)
    await connection.execute("CREATE SCHEMA ledger; CREATE TABLE ledger.alembic_version (version_num text)")
    await connection.execute("INSERT INTO ledger.alembic_version VALUES ('ledger_1')")
    await connection.close()
    after = await is_up_to_date(server.url, histories)
    await server.delete()

    assert (before, after) == (False, True)


async def test_a_database_that_cannot_be_reached_is_one_line() -> None:
    with pytest.raises(
        MigrationFailed, match=r"the tables could not be migrated: .*Connect call failed"
    ) as failed:
        await migrate("postgresql://trunkline@127.0.0.1:1/trunkline")

    assert "\n" not in str(failed.value)


def test_an_image_migrates_without_the_command_line(tmp_path: Path) -> None:
    address = tmp_path / "address"
    address.write_text("postgresql://trunkline@127.0.0.1:1/trunkline")

    ended = subprocess.run(
        [sys.executable, "-m", "launcher.migrate"],
        env={**os.environ, "DATABASE_URL_FILE": str(address)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("migrate: the tables could not be migrated: ")
    assert "Traceback" not in ended.stderr
