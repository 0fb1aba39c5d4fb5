"""What a request may need, as one frozen value on app.state; routes ask for a part by its type."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.door.drain import Drain
from gateway.door.streams import StreamSlots
from gateway.history.jobs import Jobs
from gateway.history.live import LiveJobs
from gateway.keys.ring import KeyRing
from gateway.ledger.faults import Faults
from gateway.ledger.ledger import Ledger
from gateway.ledger.relay import Relay
from gateway.ledger.unique import UniqueJobs
from gateway.notifications.notifications import Notifications
from gateway.operations.again import RunAgain
from gateway.operations.explainer import Explainer
from gateway.operations.handler_view import HandlerView
from gateway.operations.mass_orders import MassOrders
from gateway.operations.replaying import Replaying
from gateway.operations.replays import Replays
from gateway.operations.scale import Scale
from gateway.settings import GatewaySettings
from gateway.shop.orders import Orders
from gateway.shop.products import Products
from shared.bus import Bus
from shared.jobs import HandlerControl, JobControl, Registry, WorkerReader
from shared.objects import Objects
from shared.telemetry import Metrics, Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a running gateway."""

    settings: GatewaySettings
    engine: AsyncEngine
    keys: KeyRing
    bus: Bus
    relay: Relay
    ledger: Ledger
    objects: Objects
    jobs: Jobs
    live: LiveJobs
    registry: Registry
    workers: WorkerReader
    control: JobControl
    handlers: HandlerView
    handler_control: HandlerControl
    unique: UniqueJobs
    scale: Scale
    explainer: Explainer
    again: RunAgain
    mass_orders: MassOrders
    replays: Replays
    replaying: Replaying
    products: Products
    orders: Orders
    notifications: Notifications
    faults: Faults
    stream_slots: StreamSlots
    tracing: Tracing
    metrics: Metrics
    drain: Drain


def parts_of(request: Request) -> Parts:
    """All parts, for a route of the hot path: each Depends costs its share."""
    return cast("Parts", request.app.state.parts)


async def _ledger(request: Request) -> Ledger:
    return parts_of(request).ledger


async def _objects(request: Request) -> Objects:
    return parts_of(request).objects


async def _jobs(request: Request) -> Jobs:
    return parts_of(request).jobs


async def _live(request: Request) -> LiveJobs:
    return parts_of(request).live


async def _control(request: Request) -> JobControl:
    return parts_of(request).control


async def _handlers(request: Request) -> HandlerView:
    return parts_of(request).handlers


async def _handler_control(request: Request) -> HandlerControl:
    return parts_of(request).handler_control


async def _scale(request: Request) -> Scale:
    return parts_of(request).scale


async def _explainer(request: Request) -> Explainer:
    return parts_of(request).explainer


async def _again(request: Request) -> RunAgain:
    return parts_of(request).again


async def _mass_orders(request: Request) -> MassOrders:
    return parts_of(request).mass_orders


async def _replays(request: Request) -> Replays:
    return parts_of(request).replays


async def _replaying(request: Request) -> Replaying:
    return parts_of(request).replaying


async def _workers(request: Request) -> WorkerReader:
    return parts_of(request).workers


async def _tracing(request: Request) -> Tracing:
    return parts_of(request).tracing


async def _key_ring(request: Request) -> KeyRing:
    return parts_of(request).keys


async def _settings(request: Request) -> GatewaySettings:
    return parts_of(request).settings


async def _engine(request: Request) -> AsyncEngine:
    return parts_of(request).engine


async def _products(request: Request) -> Products:
    return parts_of(request).products


async def _orders(request: Request) -> Orders:
    return parts_of(request).orders


async def _notifications(request: Request) -> Notifications:
    return parts_of(request).notifications


LedgerDep = Annotated[Ledger, Depends(_ledger)]
ObjectsDep = Annotated[Objects, Depends(_objects)]
JobsDep = Annotated[Jobs, Depends(_jobs)]
LiveDep = Annotated[LiveJobs, Depends(_live)]
ControlDep = Annotated[JobControl, Depends(_control)]
HandlerViewDep = Annotated[HandlerView, Depends(_handlers)]
HandlerControlDep = Annotated[HandlerControl, Depends(_handler_control)]
ScaleDep = Annotated[Scale, Depends(_scale)]
ExplainerDep = Annotated[Explainer, Depends(_explainer)]
RunAgainDep = Annotated[RunAgain, Depends(_again)]
MassOrdersDep = Annotated[MassOrders, Depends(_mass_orders)]
ReplaysDep = Annotated[Replays, Depends(_replays)]
ReplayingDep = Annotated[Replaying, Depends(_replaying)]
WorkersDep = Annotated[WorkerReader, Depends(_workers)]
TracingDep = Annotated[Tracing, Depends(_tracing)]
EngineDep = Annotated[AsyncEngine, Depends(_engine)]
KeyRingDep = Annotated[KeyRing, Depends(_key_ring)]
SettingsDep = Annotated[GatewaySettings, Depends(_settings)]
ProductsDep = Annotated[Products, Depends(_products)]
OrdersDep = Annotated[Orders, Depends(_orders)]
NotificationsDep = Annotated[Notifications, Depends(_notifications)]
