"""The command line driven as any user drives it, and what tests look at meanwhile."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import httpx
import psutil

from launcher.cli import main
from launcher.data_folder import DataFolder
from launcher.down import down
from launcher.servers.postgres_home import forget_home
from launcher.state import State, read_state

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 20.0
Found = TypeVar("Found")

# Servers that do not exist, for tests that need none: a given URL is passed on and nothing is started for it.
ELSEWHERE = {
    "REDIS_URL": "redis://127.0.0.1:1",
    "NATS_URL": "nats://127.0.0.1:1",
    "DATABASE_URL": "postgresql://127.0.0.1:1/none",
    "SMTP_URL": "smtp://127.0.0.1:1",
}


def until(look: Callable[[], Found | None], what: str) -> Found:
    """The first thing found that counts as true."""
    give_up_at = time.monotonic() + LIMIT_S
    while time.monotonic() < give_up_at:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {LIMIT_S} s: {what}")


async def until_async(look: Callable[[], Awaitable[Found | None]], what: str) -> Found:
    """The same for what must be awaited."""
    give_up_at = time.monotonic() + LIMIT_S
    while time.monotonic() < give_up_at:
        if found := await look():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {LIMIT_S} s: {what}")


@dataclass
class Cli:
    """`trunkline` on one data folder."""

    data: Path
    environment: dict[str, str]
    stops: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list[Any])

    def call(self, *words: str) -> tuple[int | str | None, str, str]:
        """Run a command in this process, which saves half a second: exit code, output, errors."""
        out, errors = io.StringIO(), io.StringIO()
        argv = patch.object(sys, "argv", self._argv(*words)[3:])
        with patch.dict(os.environ, self.environment), argv, redirect_stdout(out), redirect_stderr(errors):
            try:
                main()
            except SystemExit as ended:
                return ended.code or 0, out.getvalue(), errors.getvalue()
        return 0, out.getvalue(), errors.getvalue()

    def run(self, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in a process of its own."""
        return subprocess.run(
            self._argv(*words),
            env={**self.environment, **extra},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def up(self, *options: str, **extra: str) -> State:
        """Start a launcher in the foreground and wait until it is ready."""
        self.running.append(
            subprocess.Popen(
                self._argv("up", "--port", "0", "--monitor-port", "0", *options),
                env={**self.environment, **extra},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        pid = self.running[-1].pid
        return until(lambda: self._state_of(pid), "the system is ready")

    def state(self) -> State | None:
        return read_state(DataFolder.at(self.data).state_file)

    def output(self) -> str:
        """All that the last launcher printed; waits for its end."""
        printed, _ = self.running[-1].communicate(timeout=LIMIT_S)
        return printed

    def stop(self) -> None:
        down(self.data)
        for launcher in self.running:
            if launcher.poll() is None:
                launcher.kill()
            launcher.communicate(timeout=LIMIT_S)
        forget_home(self.data / "postgres")

    def _state_of(self, pid: int) -> State | None:
        state = self.state()
        return state if state and state.pid == pid else None

    def _argv(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "launcher", words[0], "--data", str(self.data), *words[1:]]


def running_state(cli: Cli) -> State:
    """The state of a system that is ready."""
    state = cli.state()
    assert state is not None
    return state


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def environment_of(url: str) -> dict[str, str]:
    """What a stand-in was given."""
    return httpx.get(f"{url}/environment", timeout=5).raise_for_status().json()
