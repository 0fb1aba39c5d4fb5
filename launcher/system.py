"""The composition root: a Plan in; all servers and services, started and stopped in order, out."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from launcher import state
from launcher.backends import choose_backends
from launcher.environment import Wiring, common_environment, environment_of
from launcher.logs import LogFile, tee
from launcher.migrate import migrate
from launcher.nursery import Nursery
from launcher.ports import LOOPBACK, free_port
from launcher.probes import http_ok
from launcher.process import Command, execute, ignore_line
from launcher.servers.server import STOP_GRACE
from launcher.services import Role
from launcher.state import Record, RunningProcess, State
from launcher.supervisor import Backoff, Child

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from launcher.backends import Backends
    from launcher.data_folder import DataFolder
    from launcher.environment import Given
    from launcher.logs import Terminal
    from launcher.servers import Server, WarehouseReceiver
    from launcher.services import Service
    from launcher.supervisor import Program


@dataclass(frozen=True)
class Plan:
    """What is to run. `counts` says how many processes of each service; `grace` is how long one may drain."""

    folder: DataFolder
    given: Given
    services: Sequence[Service]
    counts: Mapping[str, int]
    port: int
    monitor_port: int
    grace: timedelta
    log_format: str
    backoff: Backoff | None = None
    """The wait before a process is started again; None is the usual one."""


@dataclass(frozen=True)
class ServiceProcess:
    """One process of a service, as a supervised program."""

    name: str
    role: Role
    module: str
    environment: Mapping[str, str]
    health_port: int
    nursery: Nursery | None

    @property
    def metrics_url(self) -> str:
        """Where Prometheus reads it."""
        return f"http://{LOOPBACK}:{self.health_port}/metrics"

    async def command(self) -> Command:
        """`-P` keeps a folder called `gateway` in the user's current folder from being run instead."""
        if self.nursery is not None:
            await self.nursery.warm()
        start = self.nursery.start if self.nursery else execute
        argv = (sys.executable, "-P", "-m", self.module)
        return Command(self.name, argv, env=self.environment, start=start)

    async def answers(self) -> bool:
        """Ready by its own word."""
        return await http_ok(self.health_port, "/readyz")


class System:
    """All that runs on one data folder, whose claim the caller holds."""

    def __init__(self, plan: Plan, terminal: Terminal) -> None:
        self._plan = plan
        self._terminal = terminal
        self._is_ready = False
        has_inventory = bool(plan.counts.get("inventory"))
        self._backends = choose_backends(plan.given, plan.folder, has_inventory=has_inventory)
        self._wiring = _wire(plan, self._backends)
        self._nursery = _nursery(plan, self._wiring)
        programs = _service_processes(plan, self._wiring, self._nursery)
        self._programs = {program.name: program for program in programs}
        self._servers = [self._server_child(server) for server in self._backends.in_stop_order()]
        self._services = [self._service_child(program) for program in self._programs.values()]

    async def start(self) -> State:
        """Servers, then tables, then services; raises the first error that stood in the way."""
        await self._agree_on_postgres()
        warming = [self._nursery.warm()] if self._nursery else []
        await _together((*warming, *(child.start() for child in self._servers)))
        for name in await migrate(self._wiring.postgres):
            self._terminal.say(f"migrated {name}")
        await _together(child.start() for child in self._services)
        self._is_ready = True
        self._publish()
        return self.state()

    async def stop(self) -> None:
        """Drain: the gateway takes no more, workers finish, then the monitor, the inbox and the servers."""
        self._is_ready = False
        self._plan.folder.state_file.unlink(missing_ok=True)
        for role in (Role.GATEWAY, Role.WORKER, Role.MONITOR):
            await _together(
                child.stop() for child in self._services if self._programs[child.name].role is role
            )
        if self._nursery is not None:
            await self._nursery.stop()
        for child in self._servers:
            await child.stop()
        self._plan.folder.record_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End everything at once; stop() then returns quickly."""
        for child in (*self._services, *self._servers):
            child.kill()

    def state(self) -> State:
        """What runs where, now."""
        backends, wiring = self._backends, self._wiring
        return State(
            gateway=self._url(Role.GATEWAY),
            monitor=self._url(Role.MONITOR),
            redis=wiring.redis,
            nats=wiring.nats,
            nats_monitor=wiring.nats_monitor,
            postgres=wiring.postgres,
            smtp=wiring.smtp,
            mail=str(backends.inbox.data) if backends.inbox else None,
            warehouse=str(backends.warehouse.data) if backends.warehouse else None,
            api_key=wiring.api_key,
            pid=os.getpid(),
            processes=self._running(),
        )

    async def _agree_on_postgres(self) -> None:
        if self._backends.postgres is not None:
            self._plan.folder.agree_on_postgres(await self._backends.postgres.major())

    def _server_child(self, server: Server) -> Child:
        # What brokers and databases say while all is well goes to files only.
        is_shown = server is self._backends.inbox
        printer = self._terminal.printer(server.name) if is_shown else ignore_line
        return self._child(server, printer, grace=STOP_GRACE)

    def _service_child(self, program: ServiceProcess) -> Child:
        return self._child(program, self._terminal.printer(program.name), grace=self._plan.grace)

    def _child(self, program: Program, printer: Callable[[str], None], *, grace: timedelta) -> Child:
        log = LogFile(self._plan.folder.logs() / f"{program.name}.log")
        sink = tee(log.write, printer)
        return Child(
            program,
            sink=sink,
            say=self._terminal.say,
            changed=self._publish,
            grace=grace,
            backoff=self._plan.backoff,
        )

    def _publish(self) -> None:
        """Tell the files which processes run; called whenever one was started."""
        folder = self._plan.folder
        state.write(folder.record_file, Record(pid=os.getpid(), processes=self._running()))
        if self._is_ready:
            state.write(folder.state_file, self.state())

    def _running(self) -> dict[str, RunningProcess]:
        children = (*self._servers, *self._services)
        return {child.name: self._running_child(child) for child in children if child.process is not None}

    def _running_child(self, child: Child) -> RunningProcess:
        process, program = child.process, self._programs.get(child.name)
        return RunningProcess(
            pid=process.pid if process else 0,
            created_at=process.created_at if process else 0.0,
            restarts=child.restarts,
            metrics=program.metrics_url if program else None,
        )

    def _url(self, role: Role) -> str | None:
        ports = (program.health_port for program in self._programs.values() if program.role is role)
        return next((f"http://{LOOPBACK}:{port}" for port in ports), None)


def _wire(plan: Plan, backends: Backends) -> Wiring:
    has_monitor = any(service.role is Role.MONITOR and plan.counts[service.name] for service in plan.services)
    has_gateway = any(service.role is Role.GATEWAY for service in plan.services)
    return Wiring(
        redis=backends.redis_url,
        nats=backends.nats_url,
        nats_monitor=backends.nats.monitor_url if backends.nats else None,
        postgres=backends.postgres_url,
        smtp=backends.smtp_url,
        api_key=plan.given.api_key() or plan.folder.api_key(),
        files=plan.folder.part("files"),
        monitor_data=plan.folder.part("monitor"),
        otlp_port=free_port() if has_monitor else None,
        log_format=plan.log_format,
        gateway=f"http://{LOOPBACK}:{plan.port}" if has_gateway else None,
        warehouse=_warehouse_settings(backends.warehouse),
        mail=backends.inbox.data if backends.inbox else None,
    )


def _warehouse_settings(receiver: WarehouseReceiver | None) -> dict[str, str]:
    if receiver is None:
        return {}
    settings = {"WAREHOUSE_URL": receiver.url, "WAREHOUSE_SECRET": receiver.secret}
    return {**settings, "WAREHOUSE_ALLOW": LOOPBACK}


def _nursery(plan: Plan, wiring: Wiring) -> Nursery | None:
    if sys.platform != "linux":
        return None
    log = LogFile(plan.folder.logs() / "nursery.log")
    modules = [service.module for service in plan.services if plan.counts[service.name]]
    return Nursery(modules, common_environment(plan.given, wiring), log.write)


def _service_processes(plan: Plan, wiring: Wiring, nursery: Nursery | None) -> Iterator[ServiceProcess]:
    own_port = {Role.GATEWAY: plan.port, Role.MONITOR: plan.monitor_port}
    for service in plan.services:
        for number in range(1, plan.counts[service.name] + 1):
            port, metrics_port = own_port.get(service.role), free_port()
            yield ServiceProcess(
                name=f"{service.name}.{number}",
                role=service.role,
                module=service.module,
                environment=environment_of(plan.given, wiring, metrics_port=metrics_port, port=port),
                health_port=port or metrics_port,
                nursery=nursery,
            )


async def _together(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all; the first error cancels the others and is raised as itself: it is what the user reads."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for coroutine in coroutines:
                tasks.create_task(coroutine)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
