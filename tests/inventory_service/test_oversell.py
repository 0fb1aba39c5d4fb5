"""200 clients order the same 50 products, two workers reserve: nothing is sold twice, every order ends right.

`python -m bench.oversell` is the same with 20,000 orders on durable servers.
"""

from datetime import timedelta

import pytest

from bench.oversell import Load, oversell
from inventory_service.settings import InventorySettings
from shared.settings import Secret


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("bus", "kill"), [("redis", True), ("nats", False)])
async def test_no_product_is_sold_more_often_than_it_is_there(
    *, bus: str, kill: bool, redis_url: str, nats_url: str, database_url: str
) -> None:
    """On Redis one of the workers is killed in the middle."""
    settings = InventorySettings(
        redis_url=Secret(redis_url),
        nats_url=Secret(nats_url),
        database_url=Secret(database_url),
        bus_routes=f"*={bus}",
        lease=timedelta(seconds=2),
        log_level="error",
    )
    load = Load(orders=600, kill=kill)

    found = (await oversell(load, settings)).audit

    assert found.faults == []
    assert found.reserved + found.rejected == found.orders == load.orders
    assert min(found.reserved, found.rejected) > load.orders // 10, "some got what they want and some did not"
    if kill:
        assert found.again > 0, "the worker was killed while it had orders"
