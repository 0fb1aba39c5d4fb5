"""Replays of dead letters over HTTP: what a filter matches, an order to run it again, how far that is."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response, Security, status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.door.accepted import json_response
from gateway.door.filter_body import FilterBody
from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Key, Needs, Scope, needs
from gateway.door.pages import Limit, json_answer, place
from gateway.door.problem_kinds import (
    BODY_TOO_LARGE,
    CONFLICT,
    INVALID,
    MALFORMED_JSON,
    NOT_FOUND,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, documented
from gateway.door.uuids import as_uuid
from gateway.history.job_filter import Cursor
from gateway.operations.dead_set import count_dead
from gateway.operations.replays import Replay
from gateway.parts import LedgerDep, ReplayingDep, ReplaysDep
from shared.jobs import Death

router = APIRouter(prefix="/v1/dead", tags=["dead letters"])

_Flag = Annotated[bool, Field(strict=True)]


class DeadFilter(FilterBody):
    """Which dead jobs; all of what is given must hold. `{"all": true}` alone stands for every one."""

    reason: Death | None = None


class ReplayRequest(BaseModel):
    """What is to be replayed, and how fast."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filter: DeadFilter
    dry_run: _Flag = Field(default=False, description="Say what would be replayed, and do nothing.")
    rate: Annotated[float, Field(strict=True, ge=0.001, le=1000, allow_inf_nan=False)] = Field(
        50, description="Jobs a second."
    )


class ReplayPreview(BaseModel):
    """What a replay would do."""

    matched: int
    by_handler: dict[str, int]
    by_reason: dict[str, int]
    sample: list[str] = Field(description="The ids of the jobs that it would begin with.")


class ReplayView(BaseModel):
    """A replay; `matched` were dead when it was asked for."""

    id: str
    status: Literal["running", "done", "cancelled"]
    filter: dict[str, Any]
    rate: float
    matched: int
    replayed: int
    skipped: int
    skipped_because: dict[str, int] = Field(
        description="`not_dead`: it was run again or cancelled meanwhile. `event_gone`: what came was no "
        "event, or nobody has it any more. `failed`: a defect of ours, which is in the log."
    )
    asked_by: str | None = Field(description="The beginning of the SHA-256 of the API key.")
    created_at: AwareDatetime
    finished_at: AwareDatetime | None


class ReplayPage(BaseModel):
    """Replays, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[ReplayView]
    next: str | None


@router.post(
    "/replay",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Run dead jobs again",
    response_model=None,
    responses={
        200: {"model": ReplayPreview, "description": "Of a dry run: what would be replayed."},
        202: {"model": ReplayView, "description": "It is committed, and goes on whatever is restarted."},
        **documented(MALFORMED_JSON, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID),
    },
    openapi_extra=documented_body(
        ReplayRequest,
        look={"filter": {"handler": "email.send", "error": "RelayBusy"}, "dry_run": True},
        group={"filter": {"fingerprint": "9f86d081884c7d65"}},
        slowly={"filter": {"handler": "email.send", "since": "2026-11-22T06:00:00Z"}, "rate": 5},
        everything={"filter": {"all": True}},
    ),
)
async def replay_dead_letters(
    request: Annotated[ReplayRequest, json_body(ReplayRequest)],
    key: Annotated[Key, Security(Needs(Scope.OPERATE), scopes=[Scope.OPERATE])],
    ledger: LedgerDep,
    replays: ReplaysDep,
    replaying: ReplayingDep,
) -> Response:
    """Queue the dead jobs that match the filter again, at a rate: same event, same id, fresh attempts."""
    wanted = request.filter.to_filter()
    async with ledger.transaction() as transaction:
        if request.dry_run:
            return json_answer((await count_dead(transaction.connection, wanted))._asdict())
        replay = await replays.begin(
            transaction.connection, wanted, rate=request.rate, asked_by=_name_of(key)
        )
    replaying.look()
    return _accepted(replay)


@router.get(
    "/replays", response_model=ReplayPage, dependencies=[needs(Scope.READ)], responses=documented(INVALID)
)
async def list_replays(
    replays: ReplaysDep, after: Annotated[Cursor | None, Depends(place)], limit: Limit = 50
) -> Response:
    """Replays, newest first."""
    found, next_ = await replays.page(after=after, limit=limit)
    return json_answer(
        {"items": [replay.to_api() for replay in found], "next": next_.encode() if next_ else None}
    )


@router.get(
    "/replays/{replay_id}",
    response_model=ReplayView,
    dependencies=[needs(Scope.READ)],
    responses=documented(NOT_FOUND),
)
async def show_replay(replay_id: str, replays: ReplaysDep) -> Response:
    """How far a replay is."""
    return json_answer((await _known(replay_id, replays)).to_api())


@router.post(
    "/replays/{replay_id}/cancel",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=ReplayView,
    dependencies=[needs(Scope.OPERATE)],
    responses=documented(NOT_FOUND, CONFLICT),
)
async def cancel_replay(replay_id: str, replays: ReplaysDep) -> Response:
    """Stop a replay within a page of its jobs; what it has queued runs."""
    cancelled = await replays.cancel((await _known(replay_id, replays)).id)
    if cancelled is not None:
        return _accepted(cancelled)
    replay = await _known(replay_id, replays)
    if replay.state == "done":
        raise Refused(CONFLICT, "the replay is done")
    return _accepted(replay)


async def _known(replay_id: str, replays: ReplaysDep) -> Replay:
    id_ = as_uuid(replay_id)
    replay = await replays.find(id_) if id_ else None
    if replay is None:
        raise Refused(NOT_FOUND, f"no replay has the id {replay_id}")
    return replay


def _accepted(replay: Replay) -> Response:
    headers = {"Location": f"/v1/dead/replays/{replay.id}", "Retry-After": "1"}
    return json_response(replay.to_api(), status.HTTP_202_ACCEPTED, headers)


def _name_of(key: Key) -> str | None:
    """The key's owner finds it by this among `sha256:...` of API_KEYS; None where everybody may call."""
    return f"sha256:{key.digest.hex()[:12]}" if key.digest else None
