"""Orders about handlers: pause one, resume it, change its limits while it runs."""

from typing import Any, Final

from starlette.requests import Request

from monitor.door.forms import Fields
from monitor.drawing.words import count
from monitor.orders.order import Done, Field, Form, WrongField
from monitor.pages.handlers import handler_url
from shared.api import GatewayApi, path_of

_LONGEST_NOTE: Final = 500
_LABELS: Final = {
    "concurrency": "Jobs at a time, all workers together",
    "worker_concurrency": "Jobs at a time in each worker",
    "rate": "Starts in a second, all workers together",
}


class PauseHandler:
    """Let no job of a handler start."""

    path = "/handlers/{name}/pause"
    place = "/handlers"

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """Who is paused, and what waits already."""
        handler = await _handler(request, api)
        return Form(
            title=f"Pause {handler['name']}?",
            verb="Pause",
            text="No job of it starts in any worker, within a second. Those that run go on; others wait.",
            fields=[Field("note", "Why", hint="For whoever looks next.", value=handler["note"] or "")],
            facts=_standing(handler),
            is_possible=not handler["paused"],
            back=handler_url(handler["name"]),
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """It stays so until somebody resumes it."""
        note = fields.one("note")
        if len(note) > _LONGEST_NOTE:
            raise WrongField(f"Why: has {len(note)} characters, at most {_LONGEST_NOTE}")
        name = await _change(request, api, {"paused": True, **({"note": note} if note else {})})
        return Done(f"{name} is paused.")


class ResumeHandler:
    """Let its jobs start again."""

    path = "/handlers/{name}/resume"
    place = "/handlers"

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """Since when it is paused, and why."""
        handler = await _handler(request, api)
        return Form(
            title=f"Resume {handler['name']}?" if handler["paused"] else f"{handler['name']} is not paused",
            verb="Resume",
            text="Its jobs start again within a second, under its limits.",
            facts=[*_standing(handler), *([("Paused because", handler["note"])] if handler["note"] else [])],
            is_possible=handler["paused"],
            back=handler_url(handler["name"]),
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """The note goes with the pause."""
        del fields
        name = await _change(request, api, {"paused": False})
        return Done(f"{name} goes on.")


class LimitHandler:
    """Set a handler's limits in place of the code's; an empty field gives the limit back to the code."""

    path = "/handlers/{name}/limits"
    place = "/handlers"

    async def form(self, request: Request, api: GatewayApi) -> Form:
        """What is set by hand stands in the fields; what the code says beside them."""
        handler = await _handler(request, api)
        return Form(
            title=f"Limits of {handler['name']}",
            verb="Set the limits",
            text="In force within a second, in all workers. Empty: as the code says.",
            fields=[_field(name, handler) for name in _LABELS],
            facts=_standing(handler),
            back=handler_url(handler["name"]),
        )

    async def carry_out(self, request: Request, fields: Fields, api: GatewayApi) -> Done:
        """All three at once, as the form shows them."""
        wanted = {
            "concurrency": _number(fields, "concurrency", int),
            "worker_concurrency": _number(fields, "worker_concurrency", int),
            "rate": _number(fields, "rate", float),
        }
        name = await _change(request, api, wanted)
        by_hand = [
            f"{_LABELS[limit].lower()}: {_text(value)}"
            for limit, value in wanted.items()
            if value is not None
        ]
        said = "; ".join(by_hand) or "as the code says"
        return Done(f"{name}: {said}.")


async def _handler(request: Request, api: GatewayApi) -> dict[str, Any]:
    return await api.get(path_of("handlers", request.path_params["name"]))


async def _change(request: Request, api: GatewayApi, change: dict[str, Any]) -> str:
    return (await api.patch(path_of("handlers", request.path_params["name"]), change)).body["name"]


def _standing(handler: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Running", count(handler["running"])),
        ("Waiting for a retry", count(handler["waiting"])),
        ("Workers", count(handler["workers"])),
    ]


def _field(name: str, handler: dict[str, Any]) -> Field:
    coded, now = handler["defaults"][name], handler[name]
    return Field(
        name,
        _LABELS[name],
        value=_text(now) if now is not None and now != coded else "",
        kind="number",
        hint=f"The code says {_text(coded)}." if coded is not None else "The code sets no limit.",
        least=0 if name == "rate" else 1,
        step="any" if name == "rate" else "1",
    )


def _text(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _number(fields: Fields, name: str, kind: type[int] | type[float]) -> float | None:
    text = fields.one(name)
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise WrongField(f"{_LABELS[name]}: {text[:40]!r} is not {what}") from None
