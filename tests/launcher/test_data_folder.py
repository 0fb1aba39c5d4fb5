from __future__ import annotations

import re
import subprocess
from pathlib import Path

import psutil
import pytest
from launching import is_alive

from launcher import state
from launcher.data_folder import DataFolder
from launcher.errors import DataFolderForeign, DataFolderInUse
from launcher.orphans import end_orphans
from launcher.state import Record, RunningProcess


def test_a_folder_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("trunkline 7\n")

    with pytest.raises(DataFolderForeign, match=r"another version of Trunkline \(format 7, here is 1\)"):
        DataFolder.open(tmp_path)


def test_a_folder_of_another_postgres_is_refused(tmp_path: Path) -> None:
    DataFolder.open(tmp_path).agree_on_postgres(16)

    with pytest.raises(DataFolderForeign, match="made by Postgres 16 and here is Postgres 17"):
        DataFolder.open(tmp_path).agree_on_postgres(17)


def test_a_folder_full_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()

    with pytest.raises(DataFolderForeign, match="holds other things"):
        DataFolder.open(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_belongs_to_one_launcher_at_a_time(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path)

    with folder.claim():
        assert folder.holder() is not None
        with pytest.raises(DataFolderInUse, match="is in use by launcher"), DataFolder.open(tmp_path).claim():
            pass

    assert folder.holder() is None


def test_the_api_key_is_made_once_and_is_the_users_alone(tmp_path: Path) -> None:
    key = DataFolder.open(tmp_path).api_key()

    assert re.fullmatch(r"tl_[0-9a-f]{8}_[\w-]{43}", key)
    assert DataFolder.open(tmp_path).api_key() == key
    assert (tmp_path / "api_key").stat().st_mode & 0o777 == 0o600


def test_an_orphan_is_ended_and_a_stranger_with_its_pid_is_not(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path)
    orphan, stranger = (subprocess.Popen(["sleep", "60"], start_new_session=True) for _ in range(2))
    created_at = psutil.Process(orphan.pid).create_time()
    children = {
        "email.1": RunningProcess(pid=orphan.pid, created_at=created_at, restarts=0),
        "email.2": RunningProcess(pid=stranger.pid, created_at=created_at - 60, restarts=0),
    }
    state.write(folder.record_file, Record(pid=1, processes=children))

    ended = end_orphans(folder)

    assert ended == ["email.1"]
    assert not is_alive(orphan.pid)
    assert is_alive(stranger.pid)
    stranger.kill()
    stranger.wait()
