"""What a load tells: counts, latencies and how the services stand in, the lines of its report out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launcher.status_table import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.load.meter import Meter
    from launcher.load.options import LoadOptions

_REQUESTS = ("REQUEST", "SENT", "ACCEPTED", "P50 MS", "P99 MS")
_SERVICES = ("SERVICE", "WORKERS", "BACKLOG", "RUNNING", "WAITING", "DEAD")


def report(options: LoadOptions, meter: Meter, services: Sequence[dict[str, Any]]) -> str:
    """Two tables and what went wrong."""
    lines = ["", *aligned([_REQUESTS, *(_request(meter, name) for name in sorted(meter.sent)), _all(meter)])]
    lines += ["", *aligned([_SERVICES, *map(_service, services)]), ""]
    lines += [f"refused: {what}, {count} times" for what, count in sorted(meter.refused.items())]
    if meter.not_sent:
        lines.append(f"not sent: {meter.not_sent}, for {options.in_flight_max} were under way")
    return "\n".join([*lines, f"--rate {options.rate:g} --seconds {options.seconds} --seed {options.seed}"])


def _request(meter: Meter, name: str) -> tuple[str, ...]:
    return (name, str(meter.sent[name]), str(meter.accepted[name]), *_latencies(meter, name))


def _all(meter: Meter) -> tuple[str, ...]:
    return ("all", str(meter.sent.total()), str(meter.accepted.total()), *_latencies(meter, None))


def _latencies(meter: Meter, name: str | None) -> tuple[str, str]:
    return (f"{meter.latency_ms(name, 50):.0f}", f"{meter.latency_ms(name, 99):.0f}")


def _service(service: dict[str, Any]) -> tuple[str, ...]:
    figures = ("workers", "backlog", "running", "waiting", "dead")
    return (service["service"], *("?" if service[one] is None else str(service[one]) for one in figures))
