"""The system of compose.yaml as a test uses it: commands of `docker compose` in, a gateway and mails out."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from httpx import AsyncClient

from deploy.make_secrets import make_secrets
from launcher.services import installed

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ROOT / "deploy" / "secrets"
# A project and ports of its own: it may run beside a system that somebody uses. The lease is short, for jobs
# that are taken over.
OWN = {
    "COMPOSE_PROJECT_NAME": "trunkline-test",
    "LEASE": "5",
    **{f"{name}_PORT": "0" for name in ("GATEWAY", "MONITOR", "MAILPIT", "JAEGER", "PROMETHEUS", "GRAFANA")},
}


@dataclass(frozen=True)
class System:
    """A running system; its commands raise CalledProcessError, with what was said."""

    key: str
    services: frozenset[str]

    def client(self) -> AsyncClient:
        """A client of the gateway that may do everything."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return AsyncClient(base_url=f"http://{self.address('gateway', 8000)}", headers=headers, timeout=40)

    def address(self, service: str, port: int) -> str:
        """Where the host finds a port of the service."""
        return compose("port", service, str(port)).strip()

    def execute(self, service: str, *command: str, expect: int = 0) -> str:
        """What the command, run in the service's container, says."""
        return compose("exec", "-T", service, *command, expect=expect)

    def redis(self, *command: str) -> str:
        """What Redis answers to somebody who may publish."""
        url = urlsplit((SECRETS / "gateway_redis_url").read_text())
        login = ("--user", str(url.username), "--pass", str(url.password), "--no-auth-warning")
        return self.execute("redis", "redis-cli", *login, *command)

    def scale(self, service: str, count: int) -> list[str]:
        """Run so many replicas of the service; the ids of their containers, once all are healthy."""
        compose(
            "up", "--detach", "--wait", "--no-recreate", "--no-deps", "--scale", f"{service}={count}", service
        )
        return compose("ps", "--quiet", service).split()

    async def mails(self, to: str) -> int:
        """How many mails for the address came to the inbox."""
        if "mailpit" in self.services:
            async with AsyncClient(base_url=f"http://{self.address('mailpit', 8025)}") as mailpit:
                found = await mailpit.get("/api/v1/search", params={"query": f"to:{to}"})
                return int(found.json()["messages_count"])
        count = f"grep -l 'X-RcptTo: {to}' /data/mail/new/* 2>/dev/null | wc -l"
        return int(self.execute("inbox", "sh", "-c", count))


@contextmanager
def running() -> Generator[System]:
    """Build it, start it, wait until it is healthy; afterwards all of it is gone, with its volumes."""
    make_secrets(SECRETS)
    known = frozenset(compose("config", "--services").split())
    ours = {service.name for service in installed()}
    inboxes_and_traces = known & {"mailpit", "jaeger", "inbox"}
    started = sorted(ours | inboxes_and_traces)
    try:
        compose("build", "--quiet", *sorted(ours | (known & {"inbox"})))
        compose("up", "--detach", "--wait", "--wait-timeout", "180", *started)
        yield System((SECRETS / "api_key").read_text().strip(), known)
    except BaseException:
        print(compose("logs", "--tail", "40", "--no-color"))  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        compose("down", "--volumes", "--timeout", "40")


def compose(*arguments: str, expect: int = 0) -> str:
    """What `docker compose` says; AssertionError, with its complaint, when it ends otherwise."""
    command = ("docker", "compose", *arguments)
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **OWN}, capture_output=True, text=True, check=False, timeout=900
    )
    said = (
        f"{' '.join(command)}: exit code {ended.returncode}\n{ended.stdout[-2000:]}\n{ended.stderr[-4000:]}"
    )
    assert ended.returncode == expect, said
    return ended.stdout


def docker(*arguments: str) -> None:
    """Run a command of the engine."""
    subprocess.run(("docker", *arguments), check=True, capture_output=True, timeout=60)
