"""`trunkline keys`: who may call the API."""

import enum
from typing import Annotated

import typer

from launcher.operate import options as opt
from launcher.operate.asking import Operator, command, group
from launcher.operate.instants import coming
from launcher.operate.late import COMMANDS
from launcher.operate.saying import Facts, Said, is_terminal
from launcher.operate.tables import Column, Item, Table, at, member
from shared.api import path_of

app = group(COMMANDS["keys"])


class Scope(enum.Enum):
    """What a key may do."""

    publish = "publish"
    read = "read"
    operate = "operate"
    admin = "admin"


@command(app, "create")
async def create_key(
    who: Operator,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; may be repeated.")],
    expires_at: Annotated[
        str | None, typer.Option(metavar="WHEN", help="In 12h, 90d, or at RFC 3339; never when not given.")
    ] = None,
) -> Said:
    """Make a key. It is shown this once, alone on stdout: KEY=$(trunkline keys create ci --scope publish)."""
    order: Item = {"name": name, "scopes": [one.value for one in scope]}
    if expires_at is not None:
        order["expires_at"] = coming(expires_at, "--expires-at")
    made = await who.post("/v1/keys", order)
    told = f"{made['name']} ({', '.join(made['scopes'])}), id {made['id']}"
    once = "; the key is shown this once" if is_terminal() else ""
    return Said(made, [made["key"]], notes=[told + once])


@command(app, "ls")
async def list_keys(who: Operator, *, limit: opt.Limit = 50, cursor: opt.CursorOption = None) -> Said:
    """List keys, revoked ones, too; none is shown itself."""
    page = await who.pages("/v1/keys", limit, cursor)
    table = Table(
        [
            Column("ID", member("id"), rank=0),
            Column("NAME", member("name")),
            Column("SCOPES", member("scopes"), rank=2),
            Column("STATUS", _status, rank=3),
            Column("USED", at("last_used_at"), rank=4),
            Column("CREATED", at("created_at"), rank=5),
            Column("EXPIRES", at("expires_at"), rank=6),
        ],
        page["items"],
        none="no keys",
    )
    return Said(page, [table], notes=opt.more(page))


@command(app, "revoke")
async def revoke_key(
    who: Operator,
    *,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys ls` shows it.")],
) -> Said:
    """Revoke a key: no gateway takes it after 2 s."""
    await who.answer("DELETE", path_of("keys", key_id))
    return Said({"id": key_id, "revoked": True}, [Facts([("revoked", key_id)])])


def _status(key: Item) -> str:
    if key["revoked_at"]:
        return "revoked"
    return "of API_KEYS" if key["source"] == "setting" else "active"
