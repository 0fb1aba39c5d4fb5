"""Orders about a schedule: pause it, resume it, run it now, remove it."""

from starlette.requests import Request

from monitor.door.forms import Fields
from monitor.drawing.words import NONE, clock, count
from monitor.orders.order import Done, Field, Form
from monitor.pages.schedules import schedule_url
from shared.api import GatewayApi, path_of


class PauseSchedule:
    """Skip its ticks until it is resumed."""

    place = "/schedules"
    path = "/schedules/{name}/pause"

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """What it would not do."""
        schedule = await api.get(path_of("schedules", _name(request)))
        return Form(
            title=f"Pause {schedule['name']}?",
            verb="Pause",
            text="Its ticks are skipped until it is resumed, and not made up for.",
            fields=[Field("note", "Why", schedule["note"] or "", hint="For whoever finds it paused.")],
            facts=[("Next tick", f"{clock(schedule['next_at'])} UTC"), ("Fires", schedule["plain"])],
            back=schedule_url(schedule["name"]),
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """Paused, with the note."""
        note = fields.one("note")
        schedule = (
            await api.post(path_of("schedules", _name(request), "pause"), {"note": note or None})
        ).body
        return Done(f"{schedule['name']} is paused.")


class ResumeSchedule:
    """Let it fire again."""

    place = "/schedules"
    path = "/schedules/{name}/resume"

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """Since when it is paused, and why."""
        schedule = await api.get(path_of("schedules", _name(request)))
        return Form(
            title=f"Resume {schedule['name']}?",
            verb="Resume",
            text="It fires again from its next tick on.",
            facts=[
                ("Paused since", f"{clock(schedule['paused_at'])} UTC"),
                ("Note", schedule["note"] or NONE),
                ("Fires", schedule["plain"]),
            ],
            back=schedule_url(schedule["name"]),
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """Active again."""
        del fields
        schedule = (await api.post(path_of("schedules", _name(request), "resume"))).body
        return Done(f"{schedule['name']} is {schedule['status']}.")


class RunSchedule:
    """Publish its event now."""

    place = "/schedules"
    path = "/schedules/{name}/run"

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """What would be published."""
        schedule = await api.get(path_of("schedules", _name(request)))
        return Form(
            title=f"Run {schedule['name']} now?",
            verb="Run now",
            text="Its event is published as a tick of this instant; its other ticks stay as they are.",
            facts=[("Publishes", schedule["type"]), ("Next tick", f"{clock(schedule['next_at'])} UTC")],
            back=schedule_url(schedule["name"]),
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """Tick and event are one commit; its jobs follow."""
        del fields
        ran = (await api.post(path_of("schedules", _name(request), "run"))).body
        jobs = len(ran["jobs"])
        return Done(f"{ran['schedule']} was run: {ran['type']}, {count(jobs)} job{'s' if jobs != 1 else ''}.")


class RemoveSchedule:
    """Remove it for good."""

    place = "/schedules"
    path = "/schedules/{name}/remove"

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """What would be gone; the form carries the ETag of that."""
        answer = await api.ask("GET", path_of("schedules", _name(request)))
        schedule = answer.body
        return Form(
            title=f"Remove {schedule['name']}?",
            verb="Remove",
            text="For good: no file of schedules brings it back. The ledger of its ticks stays.",
            fields=[Field("etag", value=answer.headers.get("etag", ""), kind="hidden")],
            facts=[("Fires", schedule["plain"]), ("Publishes", schedule["type"])],
            is_grave=True,
            back=schedule_url(schedule["name"]),
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """Only what the form showed is removed."""
        name = _name(request)
        await api.delete(path_of("schedules", name), {"if-match": fields.one("etag")})
        return Done(f"{name} is removed.", go="/schedules")


def _name(request: Request) -> str:
    return request.path_params["name"]
