"""Where a system keeps everything: a path in; a DataFolder, checked and locked, out."""

from __future__ import annotations

import base64
import fcntl
import os
import re
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.errors import DataFolderForeign, DataFolderInUse
from launcher.state import read_state, write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

FORMAT = 1
DEFAULT = Path(".trunkline")
_CLAIM_LIMIT_S = 0.5


@dataclass(frozen=True)
class DataFolder:
    """An absolute path and what lies where below it."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> DataFolder:
        """The folder as it is; nothing is made or checked."""
        return cls(path.absolute())

    @classmethod
    def open(cls, path: Path) -> DataFolder:
        """Make the folder, or check that this version may use it; raises DataFolderForeign."""
        folder = cls.at(path)
        folder.make()
        return folder

    def make(self) -> None:
        """Make it, or check that this version may use it; raises DataFolderForeign."""
        try:
            if not self._version_file.exists():
                _make_empty(self.path)
                self._write_version(None)
            self._check_version()
        except PermissionError:
            raise DataFolderForeign(self.path, "its permissions forbid it") from None

    def part(self, name: str) -> Path:
        """The place of one server or service ("redis", "mail", "files", ...)."""
        return self.path / name

    def logs(self) -> Path:
        """The folder of the logs, made when missing."""
        logs = self.path / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        return logs

    @property
    def state_file(self) -> Path:
        """What everybody may read while the system is ready."""
        return self.path / "state.json"

    @property
    def record_file(self) -> Path:
        """What the next launcher reads."""
        return self.path / "processes.json"

    def api_key(self) -> str:
        """The key of this folder, made once: tl_<8 hex>_<43 url-safe characters>."""
        return self._made_once("api_key", lambda: f"tl_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}")

    def warehouse_secret(self) -> str:
        """What signs this folder's webhooks, made once: whsec_<base64 of 32 bytes>."""
        return self._made_once(
            "warehouse_secret", lambda: f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        )

    def agree_on_postgres(self, major: int) -> None:
        """Remember the Postgres that made the database; raises DataFolderForeign for another."""
        known = self._version().get("postgres")
        if known is None:
            self._write_version(major)
        elif known != major:
            why = f"its database was made by Postgres {known} and here is Postgres {major}"
            raise DataFolderForeign(self.path, why)

    @contextmanager
    def claim(self) -> Generator[None]:
        """Hold the folder; raises DataFolderInUse. However the launcher dies, the kernel lets go of it."""
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._lock(descriptor)
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
            os.truncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def holder(self) -> int | None:
        """The pid of the launcher that holds the folder; None when nobody does."""
        try:
            descriptor = os.open(self._lock_file, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError:
            raise DataFolderForeign(self.path, "its permissions forbid it") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(os.read(descriptor, 20) or b"0") or None
        else:
            return None
        finally:
            os.close(descriptor)

    def _made_once(self, name: str, make: Callable[[], str]) -> str:
        file = self.path / name
        if not file.is_file():
            write_private(file, make().encode())
        return file.read_text(encoding="ascii").strip()

    def _lock(self, descriptor: int) -> None:
        """Try for a moment: a `status` that looks who holds it holds it too, for a blink."""
        give_up_at = time.monotonic() + _CLAIM_LIMIT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up_at:
                    state = read_state(self.state_file)
                    url = state.gateway if state else None
                    raise DataFolderInUse(self.path, pid=self.holder(), url=url) from None
                time.sleep(0.01)
            else:
                return

    def _check_version(self) -> None:
        found = self._version().get("trunkline")
        if found != FORMAT:
            said = "no format this version knows" if found is None else f"format {found}"
            raise DataFolderForeign(
                self.path, f"it was made by another version of Trunkline ({said}, here is {FORMAT})"
            )

    def _version(self) -> dict[str, int]:
        text = self._version_file.read_text(encoding="utf-8", errors="replace")
        return {name: int(number) for name, number in re.findall(r"^(\w+) (\d+)$", text, re.MULTILINE)}

    def _write_version(self, postgres: int | None) -> None:
        lines = [f"trunkline {FORMAT}", *([f"postgres {postgres}"] if postgres else [])]
        write_private(self._version_file, "".join(f"{line}\n" for line in lines).encode())

    @property
    def _version_file(self) -> Path:
        return self.path / "version"

    @property
    def _lock_file(self) -> Path:
        return self.path / "lock"


def _make_empty(path: Path) -> None:
    """Make the folder; one that has other things in it is left alone."""
    try:
        path.mkdir(mode=0o711, parents=True, exist_ok=True)  # each part below is closed to other users
        is_empty = next(path.iterdir(), None) is None
    except (FileExistsError, NotADirectoryError):
        raise DataFolderForeign(path, "it is no folder") from None
    if not is_empty:
        raise DataFolderForeign(path, "it holds other things and was not made by Trunkline")
