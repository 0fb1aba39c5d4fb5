"""Runs the load: options in; a line a second and a table on the terminal, an exit code out."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from launcher.data_folder import DataFolder
from launcher.errors import LauncherError, NotRunning
from launcher.load.meter import Meter
from launcher.load.table import report
from launcher.load.traffic import Traffic
from launcher.state import read_state

if TYPE_CHECKING:
    from launcher.load.options import LoadOptions
    from launcher.load.traffic import Step
    from launcher.state import State

_TIMEOUT_S = 30.0
_SETTLED_WITHIN_S = 60.0

Service = dict[str, Any]


class LoadRefused(LauncherError):
    """The gateway does not take what the load is made of; the message names the first refusal."""


def load(options: LoadOptions) -> int:
    """0 when every request was accepted and all work was done a minute after the last one, else 1."""
    folder = DataFolder.at(options.data)
    state = read_state(folder.state_file) if folder.holder() else None
    if state is None or state.gateway is None:
        raise NotRunning(folder.path, "start it with `trunkline up`")
    return asyncio.run(_load(options, state))


async def _load(options: LoadOptions, state: State) -> int:
    traffic = Traffic(random.Random(options.seed), datetime.now(UTC).date())  # noqa: S311 - no secret
    meter = Meter()
    headers = {"Authorization": f"Bearer {state.api_key}"}
    async with httpx.AsyncClient(
        base_url=state.gateway or "",
        headers=headers,
        timeout=_TIMEOUT_S,
        limits=httpx.Limits(max_connections=options.in_flight_max),
    ) as gateway:
        await _prepare(gateway, traffic)
        await _send_all(gateway, traffic, meter, options)
        services, is_settled = await _settled(gateway)
    _say(report(options, meter, services))
    return 0 if is_settled and not meter.refused and not meter.not_sent else 1


async def _prepare(gateway: httpx.AsyncClient, traffic: Traffic) -> None:
    for step in traffic.first():
        answer = await gateway.request(step.method, step.path, **step.how)
        if not answer.is_success:
            raise LoadRefused(f"{step.method} {step.path} answered {answer.status_code}: {answer.text}")


async def _send_all(gateway: httpx.AsyncClient, traffic: Traffic, meter: Meter, options: LoadOptions) -> None:
    """An open loop: what is due is sent, so that a slow answer delays nobody else's request."""
    under_way: set[asyncio.Task[None]] = set()
    telling = asyncio.create_task(_tell(meter, under_way))
    began = time.monotonic()
    try:
        for number in range(int(options.rate * options.seconds)):
            await asyncio.sleep(began + number / options.rate - time.monotonic())
            if len(under_way) >= options.in_flight_max:
                meter.not_sent += 1
                continue
            sending = asyncio.create_task(_send(gateway, traffic, meter))
            under_way.add(sending)
            sending.add_done_callback(under_way.discard)
        if under_way:
            await asyncio.wait(under_way)
    finally:
        telling.cancel()


async def _send(gateway: httpx.AsyncClient, traffic: Traffic, meter: Meter) -> None:
    step: Step = traffic.next()
    meter.sent[step.name] += 1
    began = time.monotonic()
    try:
        answer = await gateway.request(step.method, step.path, **step.how)
    except httpx.TransportError as error:
        meter.failed(step.name, error)
        return
    meter.answered(step.name, answer.status_code, time.monotonic() - began)
    if answer.is_success:
        traffic.learn(step, answer.json())


async def _tell(meter: Meter, under_way: set[asyncio.Task[None]]) -> None:
    while True:
        before = meter.sent.total()
        await asyncio.sleep(1)
        _say(
            f"{meter.sent.total() - before:>6} requests/s, {len(under_way)} under way, "
            f"p50 {meter.latency_ms(None, 50):.0f} ms, p99 {meter.latency_ms(None, 99):.0f} ms, "
            f"refused {meter.refused.total()}"
        )


async def _settled(gateway: httpx.AsyncClient) -> tuple[list[Service], bool]:
    """The services once none has anything to do, or a minute later."""
    deadline = time.monotonic() + _SETTLED_WITHIN_S
    while True:
        services = await _services(gateway)
        if all(service["backlog"] == service["running"] == service["waiting"] == 0 for service in services):
            return services, True
        if time.monotonic() > deadline:
            return services, False
        await asyncio.sleep(0.5)


async def _services(gateway: httpx.AsyncClient) -> list[Service]:
    """Each service that handles something, as an autoscaler sees it."""
    handlers = (await _get(gateway, "/v1/handlers"))["items"]
    names = sorted({handler["service"] for handler in handlers})
    return [await _get(gateway, f"/v1/scale/{name}") for name in names]


async def _get(gateway: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await gateway.get(path)
    answer.raise_for_status()
    return answer.json()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
