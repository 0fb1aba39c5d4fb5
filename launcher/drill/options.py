"""What a drill is asked for, and what it is made of: options in; a Plan of a private system out."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from launcher.bytecode import with_bytecode
from launcher.drill.worker import DrillSettings
from launcher.environment import Given
from launcher.ports import free_port
from launcher.services import SERVICES, Role, Service
from launcher.supervisor import Backoff
from launcher.system import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.data_folder import DataFolder

LEASE = timedelta(seconds=3)
_GRACE = timedelta(seconds=10)
_NOWHERE = "127.0.0.1:1"

GATEWAY = next(service for service in SERVICES if service.role is Role.GATEWAY)
WORKERS = Service("drill", "launcher.drill.worker")


@dataclass(frozen=True, kw_only=True)
class DrillOptions:
    """`seed` decides who is killed and paused, as far as a machine's timing lets it."""

    seconds: int = 120
    bus: Literal["redis", "nats"] = "redis"
    jobs: int = 20_000
    workers: int = 4
    seed: int = field(default_factory=lambda: secrets.randbelow(1_000_000))
    breaks: Literal["", "fence"] = ""

    @property
    def victims(self) -> tuple[str, ...]:
        """The processes that are killed, by their names in the system."""
        return (f"{GATEWAY.name}.1", self.bus, *self.pausable)

    @property
    def pausable(self) -> tuple[str, ...]:
        """The processes that are paused."""
        return tuple(f"{WORKERS.name}.{number}" for number in range(1, self.workers + 1))


def plan_of(options: DrillOptions, folder: DataFolder, around: Mapping[str, str]) -> Plan:
    """The private system; of the environment around us it takes no setting of Trunkline."""
    variables = with_bytecode(_foreign(around), folder.part("bytecode")) | {
        "BUSES": options.bus,
        "BUS_ROUTES": f"*={options.bus}",
        "LEASE": str(LEASE.total_seconds()),
        "GRACE": str(_GRACE.total_seconds()),
        "LOG_LEVEL": "warning",
        "SMTP_URL": f"smtp://{_NOWHERE}",  # nobody mails; given, so that no inbox is started
        "TRUNKLINE_BREAK": options.breaks,
    }
    if options.bus == "redis":
        variables["NATS_URL"] = f"nats://{_NOWHERE}"
    return Plan(
        folder=folder,
        given=Given(variables),
        services=(GATEWAY, WORKERS),
        counts={GATEWAY.name: 1, WORKERS.name: options.workers},
        port=free_port(),
        monitor_port=free_port(),
        grace=_GRACE,
        log_format="json",
        backoff=Backoff(longest=timedelta(seconds=1)),
    )


def _foreign(around: Mapping[str, str]) -> dict[str, str]:
    """The variables that are none of ours: a drill must touch none of the user's servers."""
    from gateway.settings import GatewaySettings  # noqa: PLC0415 - an installation may lack the gateway

    ours = {name.upper() for model in (GatewaySettings, DrillSettings) for name in model.model_fields}
    ours |= {"SMTP_URL", "FILES_URL", "MONITOR_DATA", "MONITOR_MAIL"}
    ours |= {f"{name}_FILE" for name in ours}
    return {
        name: value for name, value in around.items() if name not in ours and not name.startswith("OTEL_")
    }
