"""Whether services may do what they must: logins in, what is forbidden to them out. Nothing is changed.

Redis: commands are queued in a MULTI that is discarded, and ACL DRYRUN asks for the logins of other services.
NATS: an event is published that the stream must refuse for what it says. Postgres: its own answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nats.errors import Error as NatsError
from nats.js.errors import APIError
from redis.exceptions import NoPermissionError, ResponseError

from launcher.doctor.findings import Finding, fault, ok
from launcher.migrate import histories
from launcher.services import SERVICES
from shared.bus.jetstream.wire import PREFIX
from shared.bus.redis_streams.wire import stream_of
from shared.db.engine import role_of
from shared.jobs import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import asyncpg

    from launcher.doctor.patient import Nats, Patient

_HANDLER = "trunkline.doctor"
_EVENTS, _QUEUE = stream_of(_HANDLER), keys.queue(_HANDLER)
_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("XADD", _EVENTS, "*", "data", "{}"),
    ("XADD", _QUEUE, "*", "data", "{}"),
    ("XADD", keys.LOG, "*", "data", "{}"),
    ("XGROUP", "CREATE", _EVENTS, _HANDLER, "0", "MKSTREAM"),
    ("XREADGROUP", "GROUP", _HANDLER, "doctor", "STREAMS", _EVENTS, ">"),
    ("XACK", _EVENTS, _HANDLER, "0-1"),
    ("XCLAIM", _EVENTS, _HANDLER, "doctor", "0", "0-1"),
    ("XAUTOCLAIM", _EVENTS, _HANDLER, "doctor", "0", "0"),
    ("XINFO", "GROUPS", _EVENTS),
    ("XTRIM", _EVENTS, "MINID", "0"),
    ("EVAL", "return 1", "0"),
    ("SCRIPT", "LOAD", "return 1"),
    ("HSET", keys.job(_HANDLER, "0"), "state", "queued"),
    ("ZADD", keys.running(_HANDLER), "0", "0"),
    ("SET", keys.worker("doctor"), "{}", "PX", "1"),
)
_TABLES = """
    SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = $1 AND relkind IN ('r', 'p') AND relname <> 'alembic_version' AND NOT (
        has_schema_privilege($2, nspname, 'USAGE') AND has_table_privilege($2, pg_class.oid, 'SELECT')
        AND has_table_privilege($2, pg_class.oid, 'INSERT')
        AND has_table_privilege($2, pg_class.oid, 'UPDATE')
        AND has_table_privilege($2, pg_class.oid, 'DELETE')
    ) ORDER BY relname
"""


async def examine(patient: Patient) -> list[Finding]:
    """A fault for each login that lacks something; one finding for a server where none does."""
    findings: list[Finding] = []
    if patient.redis is not None:
        findings += await _redis(patient.redis)
    if patient.nats is not None:
        findings += await _nats(patient.nats)
    if patient.postgres is not None:
        findings += await _postgres(patient.postgres)
    return findings


async def _redis(redis: Any) -> list[Finding]:
    forbidden = {await _own_name(redis): await _refused_to_us(redis)}
    for name in await _logins_of_services(redis):
        forbidden.setdefault(name, await _refused_to(redis, name))
    wrong = [_redis_fault(name, commands) for name, commands in forbidden.items() if commands]
    return wrong or [ok("redis", f"may be worked with as {', '.join(sorted(forbidden))}")]


async def _own_name(redis: Any) -> str:
    try:
        name: bytes = await redis.execute_command("ACL", "WHOAMI")
    except ResponseError:
        return "this login"
    return name.decode()


async def _refused_to_us(redis: Any) -> list[str]:
    connection = await redis.connection_pool.get_connection()
    refused: list[str] = []
    try:
        await _asked(connection, ("MULTI",))
        for command in _COMMANDS:
            try:
                await _asked(connection, command)
            except NoPermissionError:
                refused.append(_named(command))
        await _asked(connection, ("DISCARD",))
    finally:
        await redis.connection_pool.release(connection)
    return _once(refused)


async def _asked(connection: Any, command: tuple[str, ...]) -> None:
    await connection.send_command(*command)
    await connection.read_response()


async def _logins_of_services(redis: Any) -> list[str]:
    """None where the login may not know the others."""
    try:
        users = {user.decode() for user in await redis.execute_command("ACL", "USERS")}
    except ResponseError:
        return []
    return [service.name for service in SERVICES if service.name in users]


async def _refused_to(redis: Any, name: str) -> list[str]:
    answers = [
        (command, await redis.execute_command("ACL", "DRYRUN", name, *command)) for command in _COMMANDS
    ]
    return _once([_named(command) for command, answer in answers if answer not in (b"OK", "OK")])


def _redis_fault(name: str, commands: Sequence[str]) -> Finding:
    return fault(
        "redis",
        f"{name} may not: {', '.join(commands)}",
        why="Jobs of whoever works with this login fail, or never start.",
        do=f"Allow it: `ACL SETUSER {name} ~* &* +@all -@admin -@dangerous +info +client|unblock`, as "
        "deploy/make_secrets.py writes it; ACL LOG tells what was refused.",
    )


async def _nats(nats: Nats) -> list[Finding]:
    before = len(nats.refused)
    subject = f"{PREFIX}{_HANDLER}"
    try:
        # Whatever stream takes the subject, it is none of this name: the message is refused and not kept.
        await nats.jetstream.publish(
            subject, b"", timeout=1, headers={"Nats-Expected-Stream": "trunkline-doctor"}
        )
    except APIError:
        return [ok("nats", f"{PREFIX}> may be published to")]
    except NatsError:
        refused = [text for text in nats.refused[before:] if "ermissions violation" in text.lower()]
        if refused:
            return [
                fault(
                    "nats",
                    f"this login may not publish to {PREFIX}>",
                    why="The gateway keeps its events in Postgres, and handlers cannot say what they caused.",
                    do=f"Allow it in nats.conf: publish.allow has {PREFIX}>, $JS.API.> and $JS.ACK.>.",
                )
            ]
    return []


async def _postgres(connection: asyncpg.Connection[asyncpg.Record]) -> list[Finding]:
    findings: list[Finding] = []
    for schema in histories():
        role = role_of(schema)
        if not await connection.fetchval("SELECT to_regrole($1) IS NOT NULL", role):
            continue  # that its tables are missing is told elsewhere
        closed = [row["relname"] for row in await connection.fetch(_TABLES, schema, role)]
        if closed:
            findings.append(
                fault(
                    "postgres",
                    f"{role} may not read and write {', '.join(closed)}",
                    why=f"The {schema} service fails where it needs them.",
                    do=f"ALTER TABLE {schema}.{closed[0]} OWNER TO {role}; and so on. "
                    "`trunkline migrate` makes tables as that role.",
                )
            )
    return findings or [ok("postgres", "each service may use its tables")]


def _named(command: tuple[str, ...]) -> str:
    """What an ACL calls it: with its subcommand, where it has one."""
    return " ".join(command[:2]) if command[0] in {"XGROUP", "XINFO", "SCRIPT"} else command[0]


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
