"""The services of the system: the table of all in; those installed, and how many of each, out."""

from __future__ import annotations

import enum
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.errors import ScaleInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Role(enum.Enum):
    """Which port a service listens on, and when it is stopped: the gateway first, the monitor last."""

    GATEWAY = "gateway"
    WORKER = "worker"
    MONITOR = "monitor"


@dataclass(frozen=True)
class Service:
    """`python -m module` runs it; `name` is what people call it in --scale and logs."""

    name: str
    module: str
    role: Role = Role.WORKER

    def folder(self) -> Path | None:
        """Where its package lies; None when it is not installed."""
        spec = importlib.util.find_spec(self.module)
        places = list(spec.submodule_search_locations or ()) if spec else []
        return next((Path(place) for place in places if (Path(place) / "__main__.py").is_file()), None)


SERVICES = (
    Service("gateway", "gateway", Role.GATEWAY),
    Service("email", "email_service"),
    Service("inventory", "inventory_service"),
    Service("file", "file_service"),
    Service("report", "report_service"),
    Service("scheduler", "scheduler"),
    Service("monitor", "monitor", Role.MONITOR),
)


def installed(services: Iterable[Service] = SERVICES) -> tuple[Service, ...]:
    """Those whose package is here: an installation may have some services only."""
    return tuple(service for service in services if service.folder() is not None)


def parse_scale(scales: Sequence[str], services: Sequence[Service]) -> dict[str, int]:
    """["email=3"] -> {"gateway": 1, "email": 3, ...}; raises ScaleInvalid."""
    counts = {service.name: 1 for service in services}
    for scale in scales:
        name, count = _parse_one(scale)
        _check(scale, name, count, {service.name: service for service in services})
        counts[name] = count
    return counts


def _parse_one(scale: str) -> tuple[str, int]:
    name, _, count = scale.partition("=")
    if not count.isdecimal():
        raise ScaleInvalid(scale, "write it as service=number, for example email=3")
    return name.strip(), int(count)


def _check(scale: str, name: str, count: int, known: Mapping[str, Service]) -> None:
    workers = ", ".join(service.name for service in known.values() if service.role is Role.WORKER)
    if name not in known:
        raise ScaleInvalid(scale, f"there is no service {name!r}, known are {workers}")
    if known[name].role is not Role.WORKER and count > 1:
        raise ScaleInvalid(
            scale, f"the {name} listens on one port, so one process of it runs; scale {workers}"
        )
