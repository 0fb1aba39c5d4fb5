"""Orders about dead letters: run a failure's jobs again, or all that the list shows; stop doing so."""

from typing import Any, Final

from starlette.requests import Request

from monitor.door.forms import Fields
from monitor.drawing.words import count, seconds
from monitor.live.page import BadQuestion
from monitor.orders.order import Done, Field, Form, WrongField
from monitor.pages.dead import TERMS, dead_url, group_url, terms_of
from monitor.pages.dead_group import fingerprint_of
from monitor.pages.query import parse
from shared.api import GatewayApi, path_of

_RATE: Final = 50.0
_SLOWEST: Final = 0.001
_FASTEST: Final = 1000.0


class Replay:
    """Run dead jobs again at a rate: same event, same id, fresh attempts."""

    place = "/dead"

    def __init__(self, path: str) -> None:
        self.path = path

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """How many it would be, of which handlers, and how long it takes: the dry run."""
        asked = request.query_params
        q = asked.get("q", "")
        wanted = _filter(request, q)
        rate = _rate(asked.get("rate", ""))
        found = (await api.post("/v1/dead/replay", {"filter": wanted, "dry_run": True})).body
        matched: int = found["matched"]
        many = f"{count(matched)} dead job{'s' if matched != 1 else ''}"
        facts = [
            (name, count(number)) for name, number in {**found["by_handler"], **found["by_reason"]}.items()
        ]
        return Form(
            title=f"Replay {many}?" if matched else "Nothing to replay",
            verb=f"Replay {many}",
            text=(
                "The same events, with fresh attempts. What fails again is dead again: mend the cause first."
                if matched
                else "No dead job matches any more."
            ),
            fields=[Field("q", value=q, kind="hidden"), *([_rate_field(rate)] if matched else [])],
            facts=[*facts, ("Takes", f"about {seconds(max(matched / rate, 1))}")] if matched else [],
            sample=found["sample"],
            is_possible=matched > 0,
            previews=True,
            back=_back(request, q),
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """It is committed, and goes on whatever is restarted; the page shows how far it is."""
        rate = _rate(fields.one("rate"))
        wanted = _filter(request, fields.one("q"))
        replay = (await api.post("/v1/dead/replay", {"filter": wanted, "rate": rate})).body
        return Done(f"{count(replay['matched'])} jobs are run again, {rate:g} a second.")


class CancelReplay:
    """Stop a replay; what it has queued runs."""

    place = "/dead"
    path = "/dead/replays/{replay_id}/cancel"

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """How far it is."""
        replay = await api.get(path_of("dead", "replays", request.path_params["replay_id"]))
        is_running = replay["status"] == "running"
        filter_ = str(terms_of(replay["filter"])) or replay["filter"].get("fingerprint") or "everything"
        return Form(
            title="Cancel the replay?" if is_running else f"The replay is {replay['status']}",
            verb="Cancel the replay",
            text="What it has queued runs; the rest stays dead." if is_running else "",
            facts=[
                ("Of", filter_),
                ("Run again", f"{count(replay['replayed'])} of {count(replay['matched'])}"),
                ("Skipped", count(replay["skipped"])),
            ],
            is_grave=True,
            is_possible=is_running,
            back="/dead",
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """Within a page of its jobs."""
        del fields
        path = path_of("dead", "replays", request.path_params["replay_id"], "cancel")
        replay = (await api.post(path)).body
        return Done(f"The replay is {replay['status']}: {count(replay['replayed'])} jobs were run again.")


def _filter(request: Request, q: str) -> dict[str, Any]:
    """The filter of the API; every dead job, where the list has none."""
    try:
        wanted: dict[str, Any] = dict(parse(q, names=TERMS).parameters())
        if "fingerprint" in request.path_params:
            wanted["fingerprint"] = fingerprint_of(request)
    except BadQuestion as bad:
        raise WrongField(str(bad)) from bad
    return wanted or {"all": True}


def _back(request: Request, q: str) -> str:
    fingerprint = request.path_params.get("fingerprint")
    return group_url(fingerprint, q) if fingerprint else dead_url(q)


def _rate(text: str) -> float:
    """Jobs a second; the usual where none is given."""
    try:
        rate = float(text) if text else _RATE
    except ValueError:
        rate = 0.0
    if not _SLOWEST <= rate <= _FASTEST:
        raise WrongField(f"the rate is from {_SLOWEST:g} to {_FASTEST:g} jobs a second")
    return rate


def _rate_field(rate: float) -> Field:
    return Field(
        "rate",
        "Jobs a second",
        value=f"{rate:g}",
        kind="number",
        hint="Slow enough for whatever has just recovered.",
        required=True,
        least=_SLOWEST,
        most=_FASTEST,
        step="any",
    )
