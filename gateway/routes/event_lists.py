"""Accepted events over HTTP: lists of them, and the tree of what one request led to."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from gateway.door.keys import Scope, needs
from gateway.door.pages import Limit, Name, json_answer, place
from gateway.door.problem_kinds import INVALID, NOT_FOUND
from gateway.door.problems import Refused, documented
from gateway.door.uuids import as_uuid
from gateway.history.job_filter import Cursor
from gateway.ledger.event_list import EventFilter, event_page
from gateway.ledger.event_tree import EventTree, event_tree
from gateway.parts import EngineDep, JobsDep
from gateway.routes.jobs import JobBody
from shared.errors import Problem
from shared.jobs import group_id, then_id

router = APIRouter(prefix="/v1/events", tags=["events"], dependencies=[needs(Scope.READ)])

_ID = "01934f3a-7c1e-7b7a-9a51-0d3c5f1b2a44"


class EventBody(BaseModel):
    """An event without its data. Instants are RFC 3339 in UTC."""

    id: str = Field(examples=[_ID])
    type: str = Field(examples=["order.created"])
    source: str = Field(examples=["/trunkline/gateway"])
    subject: str | None
    accepted_at: AwareDatetime
    published_at: AwareDatetime | None = Field(description="When it was on its bus for certain")
    settled_at: AwareDatetime | None = Field(description="When all its jobs were final")
    correlation_id: str = Field(description="What all events of one tree share")
    causation_id: str | None = Field(description="The event whose handling brought this one forth")
    trace_id: str | None


class EventPage(BaseModel):
    """Events, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[EventBody]
    next: str | None


class TreeEvent(EventBody):
    """An event of a tree, with its jobs."""

    depth: int = Field(description="How many causes there are between it and the root", examples=[1])
    caused_by: str | None = Field(
        description="The job that brought it forth; null where nobody knows one",
        examples=[f"inventory.reserve_stock:{_ID}"],
    )
    jobs: list[JobBody]


class Tree(BaseModel):
    """What came of one request, each event after its cause; `left_out` events are not shown."""

    root: str = Field(description="The first cause", examples=[_ID])
    events: list[TreeEvent]
    left_out: int


@router.get("", response_model=EventPage, responses=documented(INVALID))
async def list_events(
    *,
    engine: EngineDep,
    after: Annotated[Cursor | None, Depends(place)],
    type_: Annotated[Name, Query(alias="type", description="`order.created`")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Accepted at this instant or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Accepted before this instant.")] = None,
    limit: Limit = 50,
) -> Response:
    """Accepted events, newest first, without their data."""
    if after is not None and as_uuid(after.job_id) is None:
        why = "is no cursor of this list; take the `next` of a page"
        raise Refused(INVALID, f"cursor: {why}", errors=[Problem("/cursor", why)])
    wanted = EventFilter(type=type_, since=since, until=until)
    found, next_ = await event_page(engine, wanted, after=after, limit=limit)
    return json_answer(
        {"items": [event.to_api() for event in found], "next": next_.encode() if next_ else None}
    )


@router.get("/{event_id}/tree", response_model=Tree, responses=documented(NOT_FOUND))
async def show_tree(event_id: str, engine: EngineDep, jobs: JobsDep) -> Response:
    """From the event's first cause down: all that was caused, with the jobs; 500 events at most.

    Of a larger tree the way to this event is shown, and what is nearest to the root.
    """
    id_ = as_uuid(event_id)
    tree = await event_tree(engine, id_) if id_ else None
    if tree is None:
        raise Refused(NOT_FOUND, "no event has this id")
    jobs_of = await jobs.of_events([one.event for one in tree.events])
    return json_answer({"root": tree.root, "events": list(_shown(tree, jobs_of)), "left_out": tree.left_out})


def _shown(tree: EventTree, jobs_of: dict[str, list[dict[str, Any]]]) -> Iterable[dict[str, Any]]:
    causing = {caused: job["id"] for jobs in jobs_of.values() for job in jobs for caused in _caused_by(job)}
    for event, depth in tree.events:
        yield {
            **event.to_api(),
            "depth": depth,
            "caused_by": causing.get(event.id),
            "jobs": jobs_of[event.id],
        }


def _caused_by(job: dict[str, Any]) -> Iterable[str]:
    """The ids of the events that the job brought forth, and of the one that would follow its group."""
    yield from (event["id"] for event in job["caused"])
    yield then_id(group_id(job["id"]))
