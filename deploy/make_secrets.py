"""A folder in; the secrets that compose.yaml hands out, made where they are missing, out.

Every service gets a password of its own for Redis, NATS and Postgres. What is there is kept: the command may
be repeated, adds what a new version needs, and writes the servers' lists of users anew from the addresses.
"""

from __future__ import annotations

import argparse
import hashlib
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

WITH_TABLES = ("gateway", "email", "inventory", "report", "scheduler")
SERVICES = ("gateway", "email", "inventory", "file", "report", "scheduler", "monitor")
_SCOPES = "publish+read+operate+admin"
_FOLDER = Path(__file__).resolve().parent / "secrets"


def main() -> int:
    """Make them, and say where."""
    parser = argparse.ArgumentParser(description="Make the secrets that compose.yaml hands out.")
    parser.add_argument("--folder", type=Path, default=_FOLDER)
    folder: Path = parser.parse_args().folder
    made = make_secrets(folder)
    sys.stdout.write(f"{folder}: {made} made, the others kept; the API key is in {folder / 'api_key'}\n")
    return 0


def make_secrets(folder: Path) -> int:
    """Make what is missing; the number of secrets made.

    The folder is closed to all other users of the machine. The files in it are not: they are mounted, one by
    one, into containers whose users have other numbers.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    shelf = _Shelf(folder)
    key = shelf.keep("api_key", f"tl_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}")
    shelf.keep("api_keys", f"{key}={_SCOPES}")
    shelf.keep("grafana_password", _password())
    admin = shelf.keep("redis_admin_password", _password())
    owner = shelf.keep("postgres_password", _password())
    shelf.keep("migrate_database_url", f"postgresql://postgres:{owner}@postgres:5432/trunkline")
    redis, nats, postgres = {"admin": admin}, {}, {}
    for service in SERVICES:
        redis[service] = _login(
            shelf.keep(f"{service}_redis_url", f"redis://{service}:{_password()}@redis:6379/0")
        )
        nats[service] = _login(shelf.keep(f"{service}_nats_url", f"nats://{service}:{_password()}@nats:4222"))
    for service in WITH_TABLES:
        url = f"postgresql://{service}:{_password()}@postgres:5432/trunkline"
        postgres[service] = _login(shelf.keep(f"{service}_database_url", url))
    shelf.write("redis_users.acl", redis_users(redis))
    shelf.write("nats_users.conf", nats_users(nats))
    shelf.write("postgres_logins.sql", postgres_logins(postgres))
    return shelf.made


def redis_users(passwords: dict[str, str]) -> str:
    """Redis' ACL file: services do what jobs need and nothing of an administrator's; a probe only pings."""
    lines = ["user default off", "user health on nopass resetchannels -@all +ping"]
    for name, password in passwords.items():
        digest = hashlib.sha256(password.encode()).hexdigest()
        allowed = "+@all" if name == "admin" else "+@all -@admin -@dangerous +info +client|unblock"
        lines.append(f"user {name} on #{digest} ~* &* {allowed}")
    return "\n".join(lines) + "\n"


def nats_users(passwords: dict[str, str]) -> str:
    """The users of nats.conf, which says what they may do."""
    users = (f'  {{ user: "{name}", password: "{password}" }}' for name, password in passwords.items())
    return "\n".join(["users = [", *users, "]", ""])


def postgres_logins(passwords: dict[str, str]) -> str:
    """SQL that may be run again and again: a login for each service, which may act as that service alone."""
    lines = ["\\set ON_ERROR_STOP on", "BEGIN;"]
    for name, password in passwords.items():
        role = f"trunkline_{name}"
        lines += [
            f"SELECT 'CREATE ROLE {role} NOLOGIN' WHERE to_regrole('{role}') IS NULL \\gexec",
            f"SELECT 'CREATE ROLE {name} LOGIN NOINHERIT' WHERE to_regrole('{name}') IS NULL \\gexec",
            f"ALTER ROLE {name} PASSWORD '{password}';",
            f"GRANT {role} TO {name};",
        ]
    return "\n".join([*lines, "COMMIT;", ""])


class _Shelf:
    """The files of the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.made = 0

    def keep(self, name: str, otherwise: str) -> str:
        """What the file says; `otherwise`, once written, where there is none."""
        file = self._folder / name
        if file.is_file():
            return file.read_text(encoding="utf-8").strip()
        self.made += 1
        self.write(name, otherwise)
        return otherwise

    def write(self, name: str, content: str) -> None:
        """Replace the file's content in place: a container that has it mounted sees the new one."""
        file = self._folder / name
        file.write_text(content, encoding="utf-8")
        file.chmod(0o644)


def _password() -> str:
    return secrets.token_urlsafe(24)


def _login(url: str) -> str:
    """The password of an address; it was made here, so nothing in it is escaped."""
    return urlsplit(url).password or ""


if __name__ == "__main__":
    sys.exit(main())
