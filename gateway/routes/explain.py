"""Why a job does not run, over HTTP: the one cause, and what else is in the way."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from gateway.door.keys import Scope, needs
from gateway.door.pages import json_answer
from gateway.door.problem_kinds import NOT_FOUND
from gateway.door.problems import Refused, documented
from gateway.operations.explanation import Cause, Code
from gateway.parts import ExplainerDep
from shared.clock import rfc3339
from shared.jobs import State

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[needs(Scope.READ)])


class CauseBody(BaseModel):
    """A reason: a stable code, a sentence, and the facts it rests on. Instants are RFC 3339 in UTC."""

    code: Code
    sentence: str
    facts: dict[str, Any]


class Explanation(BaseModel):
    """Why the job does not run: what has to be removed first, and what holds besides."""

    id: str
    state: State
    cause: CauseBody
    also: list[CauseBody]


@router.get("/{job_id}/explain", response_model=Explanation, responses=documented(NOT_FOUND))
async def explain_job(job_id: str, explainer: ExplainerDep) -> Response:
    """Name the one cause why the job does not run; `running` and `finished` are such causes, too."""
    explained = await explainer.explain(job_id)
    if explained is None:
        raise Refused(NOT_FOUND, f"no job has the id {job_id}")
    job, (first, *others) = explained
    return json_answer(
        {
            "id": job["id"],
            "state": job["state"],
            "cause": _shown(first),
            "also": [_shown(other) for other in others],
        }
    )


def _shown(cause: Cause) -> dict[str, Any]:
    facts = {
        name: rfc3339(value) if isinstance(value, datetime) else value for name, value in cause.facts.items()
    }
    return {"code": cause.code, "sentence": cause.sentence, "facts": facts}
