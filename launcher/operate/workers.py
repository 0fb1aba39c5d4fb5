"""`trunkline workers`: who is alive, and what each holds."""

from launcher.operate.asking import Operator, command, group, items_of
from launcher.operate.late import COMMANDS
from launcher.operate.saying import Said
from launcher.operate.tables import Column, Item, Table, at, member

app = group(COMMANDS["workers"])


@command(app, "workers")
async def list_workers(who: Operator) -> Said:
    """List the workers that are alive."""
    page = await who.get("/v1/workers")
    table = Table(
        [
            Column("ID", member("id"), rank=0),
            Column("SERVICE", member("service")),
            Column("RUNNING", _running, rank=2),
            Column("LEASE LEFT", _lease, rank=4),
            Column("STARTED", at("started_at"), rank=3),
            Column("VERSION", member("version"), rank=6),
            Column("HOST", _host, rank=7),
            Column("HANDLERS", member("handlers"), rank=8, cut=True),
        ],
        items_of(page, who.api),
        none="no worker is alive",
    )
    return Said(page, [table])


def _running(worker: Item) -> str | None:
    """Jobs that it holds, of those that it could."""
    return f"{worker['running']}/{worker['slots']}" if worker.get("slots") is not None else None


def _lease(worker: Item) -> str | None:
    left = worker.get("lease_left_s")
    return f"{left:.0f} s" if left is not None else None


def _host(worker: Item) -> str:
    return f"{worker['host']}:{worker['pid']}"
