"""Orders about jobs: one, the chosen ones, or all that a list shows: run again, cancel."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request

from monitor.door.forms import Fields
from monitor.live.page import BadQuestion
from monitor.orders.order import Done, Field, Form, WrongField
from monitor.pages.jobs import STATES, TERMS, jobs_url
from monitor.pages.query import parse
from shared.api import GatewayApi, path_of

_VERBS: Final = {"retry": "Retry", "cancel": "Cancel"}
_DONE: Final = {"retry": "queued again", "cancel": "cancelled"}


class OneJob:
    """Run one job again, or cancel it."""

    place = "/jobs"

    def __init__(self, order: str) -> None:
        self._order = order
        self.path = f"/jobs/{{job_id}}/{order}"

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """Which job it is, and how it stands."""
        job = await api.get(path_of("jobs", request.path_params["job_id"]))
        facts = [
            ("Job", job["id"]),
            ("State", job["state"]),
            ("Attempts", f"{job['attempt']} of {job['max_attempts']}"),
        ]
        if job["error"]:
            facts.append(("Last error", f"{job['error']['type']}: {job['error']['message'][:300]}"))
        text = {
            "retry": "The same event, with fresh attempts.",
            "cancel": "It will not run again; a running handler is told to stop.",
        }
        return Form(
            title=f"{_VERBS[self._order]} {job['handler']}?",
            verb=_VERBS[self._order],
            text=text[self._order],
            facts=facts,
            is_grave=self._order == "cancel",
            back=f"/jobs/{job['id']}",
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """The gateway decides whether the job can be ordered about."""
        del fields
        ordered = (await api.post(path_of("jobs", request.path_params["job_id"], self._order))).body
        return Done(f"The job is {ordered['state']}.")


class ManyJobs:
    """Run the chosen jobs again or cancel them; or all that the filter of a list finds."""

    place = "/jobs"

    def __init__(self, order: str) -> None:
        self._order = order
        self.path = f"/jobs/{order}"

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """How many it would be, of which handlers: the dry run."""
        asked = request.query_params
        ids = asked.getlist("id")
        state, q = asked.get("state", ""), asked.get("q", "")
        wanted = _filter(ids, state, q)
        found = (await api.post(path_of("jobs", self._order), {"filter": wanted, "dry_run": True})).body
        matched: int = found["matched"]
        many = f"{matched:,}{'+' if matched >= found['cap'] else ''} job{'s' if matched != 1 else ''}"
        facts = [(name, str(count)) for name, count in {**found["by_handler"], **found["by_state"]}.items()]
        fields = [
            Field("state", value=asked.get("state", ""), kind="hidden"),
            Field("q", value=asked.get("q", ""), kind="hidden"),
        ]
        return Form(
            title=f"{_VERBS[self._order]} {many}?" if matched else f"Nothing to {self._order}",
            verb=f"{_VERBS[self._order]} {many}",
            text="" if matched else f"No job that could be {_DONE[self._order]} matches.",
            fields=[*fields, *(Field("id", value=one, kind="hidden") for one in ids)],
            facts=facts,
            sample=found["sample"],
            is_grave=self._order == "cancel",
            is_possible=matched > 0,
            back=jobs_url(state, q),
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """At most 1,000 in a request; the form is sent again for the rest."""
        del request
        wanted = _filter(fields.all("id"), fields.one("state"), fields.one("q"))
        done = (await api.post(path_of("jobs", self._order), {"filter": wanted, "dry_run": False})).body
        before = int(fields.one("before", "0")) if fields.one("before", "0").isdigit() else 0
        so_far = before + done["done"]
        said = f"{so_far:,} jobs {_DONE[self._order]}"
        skipped: Mapping[str, int] = done["skipped"]
        if skipped:
            said += "; left alone: " + ", ".join(f"{count} ({why})" for why, count in skipped.items())
        if done["remaining"] and done["done"]:
            return Done(f"{said} so far…", again=[("before", str(so_far))])
        return Done(f"{said}.")


def _filter(ids: Any, state: str, q: str) -> dict[str, Any]:
    """The filter of the API; every job, where the list has none."""
    if ids:
        return {"ids": list(ids)}
    try:
        wanted: dict[str, Any] = dict(parse(q, names=TERMS).parameters())
    except BadQuestion as bad:
        raise WrongField(str(bad)) from bad
    if state:
        if state not in STATES:
            raise WrongField(f"there is no state {state}")
        wanted["state"] = state
    return wanted or {"all": True}
