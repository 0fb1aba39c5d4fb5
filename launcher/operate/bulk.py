"""An order to many jobs: a filter in; the question, the order a thousand at a time, and what was done out."""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

import typer

from launcher.operate.asking import Operator
from launcher.operate.errors import Misused
from launcher.operate.saying import Facts, Said, can_ask, console, is_terminal

_A_ROUND: Final = 1000
"""How many jobs the gateway orders at a time."""
_DONE: Final = {"cancel": "cancelled", "retry": "queued again"}
_WILL: Final = {"cancel": "Cancel", "retry": "Run again"}


async def order_one(who: Operator, path: str) -> Said:
    """The order for one job that was named; nobody is asked."""
    document = await who.post(path)
    return Said(document, [Facts([("id", document.get("id")), ("state", document.get("state"))])])


async def order_many(who: Operator, order: str, wanted: dict[str, Any], *, dry_run: bool, yes: bool) -> Said:
    """`order` is cancel or retry: what it is the last part of the path of."""
    path = f"/v1/jobs/{order}"
    matched = await who.post(path, {"filter": wanted, "dry_run": True})
    if dry_run:
        return Said(matched, [preview(matched)])
    if matched["matched"]:
        confirm(f"{_WILL[order]} {said_of(matched)}?", matched["matched"], yes=yes)
    done = await _in_rounds(who, path, wanted, matched)
    facts = [(_DONE[order], done["done"]), *((f"skipped: {why}", n) for why, n in done["skipped"].items())]
    left = ["there are more by now: repeat the command"] if done["remaining"] else []
    return Said(done, [Facts(facts)], notes=left)


def preview(matched: dict[str, Any]) -> Facts:
    """What a dry run said."""
    return Facts(
        [
            ("matched", count_of(matched)),
            *((f"of {name}", n) for name, n in matched.get("by_handler", {}).items()),
            *((f"in {name}", n) for name, n in matched.get("by_state", {}).items()),
            *((f"because {name}", n) for name, n in matched.get("by_reason", {}).items()),
            ("first", matched.get("sample", [])[:5] or None),
        ]
    )


def confirm(question: str, count: int, *, yes: bool) -> None:
    """Ask before more than one job is changed; Misused where nobody can be asked, Abort for a no."""
    if yes or count == 1:
        return
    if not can_ask():
        raise Misused(f"{question} Nobody is there to ask: say --yes, or --dry-run to look first")
    typer.confirm(question, abort=True, err=True)


def said_of(matched: dict[str, Any]) -> str:
    """`1,234 jobs (email.send 1,200, file.profile 34)`."""
    handlers = matched.get("by_handler", {})
    shown = ", ".join(f"{name} {count:,}" for name, count in list(handlers.items())[:5])
    more = f", and {len(handlers) - 5} handlers more" if len(handlers) > 5 else ""  # noqa: PLR2004 - as above
    jobs = "job" if matched["matched"] == 1 else "jobs"
    return f"{count_of(matched)} {jobs}" + (f" ({shown}{more})" if shown else "")


def count_of(matched: dict[str, Any]) -> str:
    """How many; `10,000 or more` where the gateway stopped counting."""
    count, cap = matched["matched"], matched.get("cap")
    return f"{count:,} or more" if cap is not None and count >= cap else f"{count:,}"


async def _in_rounds(
    who: Operator, path: str, wanted: dict[str, Any], matched: dict[str, Any]
) -> dict[str, Any]:
    """Repeat the order while there are jobs left.

    It ends when a round changes nothing, and when as many as matched are done: a job that was run again and
    died meanwhile would match again, for ever.
    """
    most = matched["matched"] if matched["matched"] < matched.get("cap", 0) else None
    done, skipped, remaining = 0, Counter[str](), bool(matched["matched"])
    with _progress(matched["matched"]) as tell:
        while remaining and (most is None or done < most):
            answer = await who.post(path, {"filter": wanted, "dry_run": False})
            done += answer["done"]
            skipped.update(answer["skipped"])
            remaining = answer["remaining"]
            tell(done)
            if not answer["done"]:
                break
    return {"done": done, "skipped": dict(skipped), "remaining": remaining}


@contextmanager
def _progress(total: int) -> Generator[Callable[[int], None]]:
    """A bar on a terminal, for what takes several rounds; nothing elsewhere."""
    if total <= _A_ROUND or not is_terminal():
        yield lambda done: None  # noqa: ARG005 - nobody sees it
        return
    from rich.progress import Progress  # noqa: PLC0415 - only a terminal pays for it

    with Progress(console=console(err=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)
