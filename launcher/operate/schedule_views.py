"""Schedules as the API shows them in; tables and facts out."""

from collections.abc import Sequence

from launcher.operate.instants import instant
from launcher.operate.options import json_text
from launcher.operate.saying import Facts
from launcher.operate.tables import Column, Item, Table, at, member


def schedule_table(items: Sequence[Item]) -> Table:
    """A line a schedule."""
    return Table(
        [
            Column("NAME", member("name"), rank=0),
            Column("STATUS", member("status")),
            Column("WHEN", times, rank=2),
            Column("NEXT", at("next_at"), rank=3),
            Column("LAST", _last, rank=5),
            Column("TYPE", member("type"), rank=4),
        ],
        items,
        none="no schedules",
    )


def schedule_facts(schedule: Item) -> Facts:
    """All of one schedule that is not as it is anyway."""
    last: Item = schedule["last"] or {}
    return Facts(
        [
            ("name", schedule["name"]),
            ("status", schedule["status"]),
            ("note", schedule["note"]),
            ("when", times(schedule)),
            ("plain", schedule.get("plain")),
            ("next", instant(schedule["next_at"])),
            ("last", instant(last.get("tick"))),
            ("last was", _last(schedule)),
            ("last event", last.get("event_id")),
            ("type", schedule["type"]),
            ("data", json_text(schedule["data"]) if schedule["data"] else None),
            ("misfire", schedule["misfire"]),
            ("catch up", _seconds(schedule["catch_up"])),
            ("overlap", schedule["overlap"]),
            ("jitter", _seconds(schedule["jitter"])),
            ("starts", instant(schedule["starts_at"])),
            ("ends", instant(schedule["ends_at"])),
        ]
    )


def fires(items: Sequence[Item]) -> Table:
    """Ticks to come."""
    return Table(
        [
            Column("TICK", at("at"), rank=0),
            Column("LOCAL", member("local")),
            Column("CLOCKS", member("dst"), rank=2),
        ],
        items,
        none="no tick is to come",
    )


def times(schedule: Item) -> str:
    """`0 9 * * MON Europe/Warsaw`, `every 300 s`."""
    if schedule["cron"] is not None:
        return f"{schedule['cron']} {schedule['timezone']}"
    return f"every {_seconds(schedule['every'])}"


def _last(schedule: Item) -> str | None:
    last: Item | None = schedule["last"]
    return f"{last['decision']}, {last['cause']}" if last else None


def _seconds(seconds: float | None) -> str | None:
    return f"{seconds:g} s" if seconds else None
