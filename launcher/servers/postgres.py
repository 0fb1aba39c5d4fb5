"""Postgres 17 on a loopback port: a data folder in, a postgresql:// URL of the database `trunkline` out."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import struct
import subprocess
import tempfile
from pathlib import Path

from launcher.errors import ServerUnusable
from launcher.ports import LOOPBACK
from launcher.probes import ask
from launcher.process import Command
from launcher.servers.postgres_home import (
    Home,
    Programs,
    find_home,
    find_programs,
    forget_home,
    lasting_place,
)
from launcher.servers.server import Server

USER = DATABASE = "trunkline"
_INITDB_LIMIT_S = 60
_BUILTIN_LOCALE_SINCE = 17

_PROTOCOL = 196_608  # version 3.0
_ASKS_FOR_PASSWORD = b"R"

# Local users are no friends of each other: no Unix socket, and no way in without the password.
_HBA = f"host all all {LOOPBACK}/32 scram-sha-256\n"


class PostgresServer(Server):
    """Postgres with one superuser, whose password lies beside the cluster (mode 0600).

    As root it runs as `nobody`; postgres_home.py says where the cluster lies then. delete() finds it.
    """

    name = "postgres"

    def __init__(self, data: Path, port: int | None = None, *, durable: bool = True) -> None:
        super().__init__(data, port, durable=durable)
        self._password_file = self.data / "password"
        self._password = _read(self._password_file) or secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """postgresql://trunkline:password@127.0.0.1:port/trunkline; the user is a superuser."""
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self.port}/{DATABASE}"

    async def major(self) -> int:
        """The major version of the Postgres found here; a cluster of another one cannot be read."""
        programs = await asyncio.to_thread(lambda: find_programs(self._home()))
        return programs.major

    async def command(self) -> Command:
        """Make the cluster the first time, find the programs."""
        return await asyncio.to_thread(self._prepared)

    async def answers(self) -> bool:
        """It asks for the password; while it recovers, it refuses before that."""
        answer = await ask(self.port, _hello())
        return answer is not None and answer.startswith(_ASKS_FOR_PASSWORD)

    async def delete(self) -> None:
        """Stop it and remove the cluster, wherever it lies."""
        await self.stop()
        await asyncio.to_thread(forget_home, self.data)
        await super().delete()

    def _home(self) -> Home:
        return find_home(self.data, outside=lasting_place() if self.durable else Path(tempfile.gettempdir()))

    def _prepared(self) -> Command:
        home = self._home()
        programs = find_programs(home)
        if not (home.cluster / "PG_VERSION").is_file():
            self._make_cluster(home, programs)
        _check_major(home.cluster, programs.major)
        return Command(
            self.name,
            (str(programs.folder / "postgres"), "-D", str(home.cluster), *self._options()),
            env=_environment(),
            cwd=home.cluster,
            account=home.account,
            stop_signal=signal.SIGINT,  # fast shutdown: sessions are ended, the log is complete
            orphan_signal=signal.SIGINT,
        )

    def _make_cluster(self, home: Home, programs: Programs) -> None:
        """Make it under another name first: a folder of the final name is complete."""
        unfinished = home.cluster.with_name("cluster.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        home.give(unfinished, 0o700)
        _run(home, programs, "initdb", *_initdb_options(unfinished, programs.major, durable=self.durable))
        _run(
            home,
            programs,
            *("postgres", "--single", "-D", str(unfinished), "postgres"),
            statements=f"ALTER ROLE {USER} PASSWORD '{self._password}'\nCREATE DATABASE {DATABASE}\n",
        )
        hba = unfinished / "pg_hba.conf"
        hba.write_text(_HBA, encoding="utf-8")
        home.give(hba, 0o600)
        _write_secret(self._password_file, self._password)
        unfinished.rename(home.cluster)

    def _options(self) -> tuple[str, ...]:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": "",  # a socket's path may have 107 bytes only; TCP has no such limit
            "max_connections": 200,
            "fsync": "on" if self.durable else "off",
            "synchronous_commit": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        return tuple(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))


def _hello() -> bytes:
    """The first message of a client (Postgres documentation, "Message Formats", StartupMessage)."""
    words = f"user\0{USER}\0database\0{DATABASE}\0\0".encode()
    return struct.pack("!ii", len(words) + 8, _PROTOCOL) + words


def _initdb_options(folder: Path, major: int, *, durable: bool) -> tuple[str, ...]:
    # "trust" until our own pg_hba.conf takes its place, before the server listens for the first time.
    options = ["-D", str(folder), "-U", USER, "-A", "trust", "--encoding=UTF8", "--no-instructions"]
    # Bytewise order, so that no index depends on the C library; from 17 on lower() knows Unicode too.
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    options += builtin if major >= _BUILTIN_LOCALE_SINCE else ["--no-locale"]
    return (*options, *(() if durable else ("--no-sync",)))


def _run(home: Home, programs: Programs, program: str, *options: str, statements: str = "") -> None:
    account = home.account
    done = subprocess.run(  # noqa: S603 - our own program and options
        [programs.folder / program, *options],
        input=statements,
        env=_environment(),
        cwd=home.cluster.parent,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=() if account else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_INITDB_LIMIT_S,
    )
    # The single-user server exits with 0 after an error in a statement.
    failed = done.returncode != 0 or (statements and "ERROR:" in done.stdout)
    if failed:
        said = " / ".join(done.stdout.strip().splitlines()[-2:])
        raise ServerUnusable(
            f"Postgres could not make its cluster in {home.cluster.parent}: {program}: {said}"
        )


def _check_major(cluster: Path, major: int) -> None:
    found = int((cluster / "PG_VERSION").read_text(encoding="utf-8"))
    if found != major:
        raise ServerUnusable(
            f"{cluster} was made by Postgres {found}, here is Postgres {major}: use another data folder"
        )


def _environment() -> dict[str, str]:
    """Ours without libpq's variables, which would send the programs elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def _write_secret(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(secret)
