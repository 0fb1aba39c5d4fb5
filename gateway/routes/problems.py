"""What each kind of problem means: the pages behind the `type` of a problem."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from gateway.door.accepted import json_response
from gateway.door.problem_kinds import KINDS, NOT_FOUND, Kind
from gateway.door.problems import Refused

router = APIRouter(prefix="/problems", tags=["problems"])


@router.get("", summary="All kinds of problems", response_model=None)
async def list_problems() -> Response:
    """The kinds of problems that this API answers with."""
    return json_response({"items": [_view(kind) for kind in KINDS.values()], "next": None}, 200)


@router.get("/{slug}", summary="One kind of problem", response_model=None)
async def explain_problem(slug: str, request: Request) -> Response:
    """What it means and what helps; HTML for a browser, else JSON."""
    kind = KINDS.get(slug)
    if kind is None:
        raise Refused(NOT_FOUND, "there is no such kind of problem")
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(_page(kind), headers={"Content-Security-Policy": "default-src 'none'"})
    return json_response(_view(kind), 200)


def _view(kind: Kind) -> dict[str, Any]:
    return {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "explanation": kind.explanation,
    }


def _page(kind: Kind) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(kind.title)}</title>'
        f"<h1>{escape(kind.title)}</h1><p><code>{kind.type}</code>, status {kind.status}</p>"
        f"<p>{escape(kind.explanation)}</p></html>"
    )
