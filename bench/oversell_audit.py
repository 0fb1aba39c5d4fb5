"""What became of all orders: their jobs and the inventory's tables in, what does not add up out."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.tables import reservations, stock
from shared.bus.redis_streams import RedisClient
from shared.contracts import Envelope
from shared.jobs import JobReader, JobRecord

_CHUNK = 1_000


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The counts, and each fault in words."""

    orders: int
    reserved: int
    rejected: int
    again: int
    """Jobs whose handler ran more than once: their worker died."""
    stocked: int
    left: int
    faults: list[str]


async def records_of(
    redis: RedisClient, handler: str, envelopes: Sequence[Envelope]
) -> list[JobRecord | None]:
    """Their jobs, in their order; None for one that nobody has claimed."""
    ids, reader = [f"{handler}:{envelope.id}" for envelope in envelopes], JobReader(redis)
    found: list[JobRecord | None] = []
    for start in range(0, len(ids), _CHUNK):
        found += await reader.get(ids[start : start + _CHUNK])
    return found


async def audit(engine: AsyncEngine, jobs: Sequence[JobRecord], *, stock: int, products: int) -> Audit:
    """Compare what the jobs say with what the tables hold; `stock` is what each product began with."""
    left, kept = await _tables(engine)
    results = [msgspec.json.decode(job.result) if job.result else None for job in jobs]
    told = {said[0]["order_id"]: said for said in results if isinstance(said, list)}
    refused = [said for said in results if isinstance(said, dict)]
    faults = [
        *_of_jobs(jobs, len(told), len(refused)),
        *_of_stock(left, kept, stock),
        *_of_reservations(told, kept),
        *_of_changes(told, left, stock),
        *_of_refusals(refused),
    ]
    return Audit(
        orders=len(jobs),
        reserved=len(told),
        rejected=len(refused),
        again=sum(job.attempt > 1 for job in jobs),
        stocked=stock * products,
        left=sum(left.values()),
        faults=faults,
    )


async def _tables(engine: AsyncEngine) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """How many are left of each sku, and what is set aside for each order."""
    async with engine.connect() as connection:
        left = {row.sku: row.available for row in await connection.execute(select(stock))}
        kept: dict[str, dict[str, int]] = defaultdict(dict)
        for row in await connection.execute(select(reservations)):
            kept[row.order_id][row.sku] = row.quantity
    return left, kept


def _of_jobs(jobs: Sequence[JobRecord], reserved: int, rejected: int) -> list[str]:
    faults = [f"{job.id} is {job.state}" for job in jobs if job.state != "succeeded"]
    if reserved + rejected != len(jobs):
        faults.append(f"{reserved} reserved and {rejected} rejected are not {len(jobs)} orders")
    return faults


def _of_stock(left: dict[str, int], kept: dict[str, dict[str, int]], stock: int) -> list[str]:
    sold = Counter[str]()
    for lines in kept.values():
        sold.update(lines)
    return [
        f"{sku}: {stock} - {sold[sku]} set aside are not {available}"
        for sku, available in left.items()
        if available < 0 or stock - sold[sku] != available
    ]


def _of_reservations(told: dict[str, list[Any]], kept: dict[str, dict[str, int]]) -> list[str]:
    said = {id_: {line["sku"]: line["quantity"] for line in said[0]["lines"]} for id_, said in told.items()}
    return [
        f"{id_}: told and kept differ" for id_ in said.keys() | kept.keys() if said.get(id_) != kept.get(id_)
    ]


def _of_changes(told: dict[str, list[Any]], left: dict[str, int], stock: int) -> list[str]:
    """Each change of each sku is told once: versions without a gap, each leaving less than the one before."""
    changes: dict[str, list[tuple[int, int]]] = {sku: [(1, stock)] for sku in left}
    for said in told.values():
        for change in said[1:]:
            changes[change["sku"]].append((change["version"], change["available"]))
    faults: list[str] = []
    for sku, known in changes.items():
        known.sort()
        if [version for version, _ in known] != list(range(1, len(known) + 1)):
            faults.append(f"{sku}: a change was told twice or not at all")
        if any(after >= before for (_, before), (_, after) in pairwise(known)) or known[-1][1] != left[sku]:
            faults.append(f"{sku}: the changes that were told do not lead to {left[sku]}")
    return faults


def _of_refusals(refused: Sequence[dict[str, Any]]) -> list[str]:
    return [
        f"{said['order_id']}: refused for {short['sku']}, of which there was enough"
        for said in refused
        for short in said["shortages"]
        if short["available"] >= short["wanted"]
    ]
