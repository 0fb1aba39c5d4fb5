"""Reports over HTTP: asked for with their event in one transaction, looked at, listed, fetched."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Depends, Header, status
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from gateway.door.accepted import RETRY_AFTER, SOURCE, AcceptedJob, json_response, of_event
from gateway.door.etags import etag_of, is_known
from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Scope, needs
from gateway.door.pages import Limit, json_answer, place
from gateway.door.problem_kinds import (
    BODY_TOO_LARGE,
    INVALID,
    MALFORMED_JSON,
    NOT_FOUND,
    REPORT_NOT_READY,
    REPORT_REMOVED,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, documented, unavailable
from gateway.history.job_filter import Cursor
from gateway.parts import EngineDep, JobsDep, LedgerDep, ObjectsDep, SettingsDep, TracingDep
from gateway.reports.asking import NewReport, check, check_user
from gateway.reports.book import Report, ReportBook, enter
from shared.clock import rfc3339
from shared.contracts import ReportFormat, ReportKind, ReportRequested, new_id, wrap
from shared.objects import OBJECTS_AWAY, ObjectMissing, Objects

router = APIRouter(prefix="/v1/reports", tags=["reports"])

_EXAMPLE: Final = {
    "kind": "orders_summary",
    "format": "pdf",
    "first_day": "2026-11-01",
    "last_day": "2026-11-22",
}


class ReportView(BaseModel):
    """A report. `content` is where the file is, when it is ready."""

    id: str = Field(examples=["0192f0c1-7a3b-7cde-8f01-23456789abcd"])
    kind: ReportKind
    format: ReportFormat
    first_day: date
    last_day: date
    user_id: str | None
    email_to: str | None
    status: Literal["requested", "ready", "failed"]
    reason: str | None = Field(description="Why it failed")
    rows: int | None
    size_bytes: int | None
    media_type: str | None
    name: str | None = Field(examples=["orders-summary-2026-11-01-2026-11-22.pdf"])
    content: str | None = Field(examples=["/v1/reports/0192f0c1-7a3b-7cde-8f01-23456789abcd/content"])
    requested_at: str
    ended_at: str | None
    event_id: str | None


class RequestedReport(ReportView):
    """A report that was asked for just now, and what follows from it."""

    jobs: list[AcceptedJob]
    trace_id: str | None


class ReportPage(BaseModel):
    """Reports, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[ReportView]
    next: str | None


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Scope.PUBLISH)],
    summary="Ask for a report",
    response_model=None,
    responses={
        202: {"model": RequestedReport, "description": "Committed; Location says where to look next."},
        **documented(MALFORMED_JSON, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID),
    },
    openapi_extra=documented_body(
        NewReport,
        summary=_EXAMPLE,
        statement={
            **_EXAMPLE,
            "kind": "customer_statement",
            "user_id": "0192f0c1-7a3b-7cde-8f01-23456789abcd",
        },
    ),
)
async def request_report(
    *,
    report: Annotated[NewReport, json_body(NewReport)],
    ledger: LedgerDep,
    jobs: JobsDep,
    settings: SettingsDep,
    tracing: TracingDep,
) -> Response:
    """Ask for a report about whole days: its row and its event are one commit."""
    check(report, most_days=settings.report_max_days)
    report_id, event_id = new_id(), new_id()
    request = ReportRequested(report_id=report_id, **report.model_dump())
    event = wrap(
        request,
        source=SOURCE,
        id=event_id,
        traceparent=tracing.create(ReportRequested.type, event_id),
    )
    async with ledger.transaction() as transaction:
        if report.user_id is not None:
            await check_user(transaction.connection, report.user_id)
        entered = await enter(transaction.connection, request, event_id=event_id)
        await transaction.write(event)
    _, expected, trace_id = await of_event(event, jobs)
    document = _view(entered) | {"jobs": expected, "trace_id": trace_id}
    headers = {"Location": f"/v1/reports/{report_id}", "Retry-After": RETRY_AFTER}
    return json_response(document, status.HTTP_202_ACCEPTED, headers)


@router.get(
    "",
    dependencies=[needs(Scope.READ)],
    summary="Reports, newest first",
    response_model=None,
    responses={200: {"model": ReportPage}, **documented(INVALID)},
)
async def list_reports(
    *,
    engine: EngineDep,
    after: Annotated[Cursor | None, Depends(place)],
    kind: ReportKind | None = None,
    limit: Limit = 50,
) -> Response:
    """All reports, newest first, also those that a schedule asked for, once they have ended."""
    reports, following = await ReportBook(engine).page(kind=kind, after=after, limit=limit)
    items = [_view(report) for report in reports]
    return json_answer({"items": items, "next": following.encode() if following else None})


@router.get(
    "/{report_id}",
    dependencies=[needs(Scope.READ)],
    summary="One report",
    response_model=None,
    responses={200: {"model": ReportView}, 304: {}, **documented(NOT_FOUND)},
)
async def get_report(
    report_id: str, engine: EngineDep, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """How a report stands; one that has not ended comes with Retry-After."""
    report = await _find(engine, report_id)
    body = msgspec.json.encode(_view(report))
    headers = {"ETag": etag_of(body), "Cache-Control": "no-cache"}
    if report.status == "requested":
        headers["Retry-After"] = RETRY_AFTER
    if is_known(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@router.get(
    "/{report_id}/content",
    dependencies=[needs(Scope.READ)],
    summary="The report itself",
    response_class=StreamingResponse,
    responses={
        200: {"description": "The file", "content": {"application/octet-stream": {}}},
        **documented(NOT_FOUND, REPORT_NOT_READY, REPORT_REMOVED),
    },
)
async def get_content(
    report_id: str,
    engine: EngineDep,
    objects: ObjectsDep,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The file, as it comes out of the object store, under a name that says what it is."""
    report = await _find(engine, report_id)
    if report.file_key is None:
        why = "it is being made" if report.status == "requested" else f"it cannot be made: {report.reason}"
        headers = {"Retry-After": RETRY_AFTER} if report.status == "requested" else {}
        raise Refused(REPORT_NOT_READY, f"there is no file: {why}", headers=headers)
    etag = etag_of(f"{report.file_key} {report.size_bytes} {report.ended_at}".encode())
    if is_known(etag, if_none_match):
        return Response(status_code=304, headers={"ETag": etag})
    size_bytes, content = await _open(objects, report.file_key)
    headers = {
        "Content-Type": report.media_type or "application/octet-stream",
        "Content-Length": str(size_bytes),
        "Content-Disposition": _attachment(report.name or f"report.{report.format}"),
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(content, headers=headers)


async def _find(engine: Any, report_id: str) -> Report:
    report = await ReportBook(engine).find(report_id) if "\0" not in report_id else None
    if report is None:
        raise Refused(NOT_FOUND, "no report has this id")
    return report


async def _open(objects: Objects, key: str) -> tuple[int, AsyncIterator[bytes]]:
    """Size and bytes; the store is asked before the answer begins, so that its refusal has a status."""
    try:
        found = await objects.find(key)
        if found is not None:
            return found.size_bytes, await objects.read(key)
    except ObjectMissing:
        found = None
    except OBJECTS_AWAY as error:
        raise unavailable("the object store") from error
    raise Refused(REPORT_REMOVED, "the file was removed; ask for the report again")


def _attachment(name: str) -> str:
    """RFC 6266: the name itself, and before it what older programs can read of it."""
    plain = "".join(letter if letter.isascii() and letter not in '"\\' else "_" for letter in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _view(report: Report) -> dict[str, Any]:
    return {
        "id": report.id,
        "kind": report.kind,
        "format": report.format,
        "first_day": report.first_day.isoformat(),
        "last_day": report.last_day.isoformat(),
        "user_id": report.user_id,
        "email_to": report.email_to,
        "status": report.status,
        "reason": report.reason,
        "rows": report.rows,
        "size_bytes": report.size_bytes,
        "media_type": report.media_type,
        "name": report.name,
        "content": f"/v1/reports/{report.id}/content" if report.file_key else None,
        "requested_at": rfc3339(report.requested_at),
        "ended_at": rfc3339(report.ended_at) if report.ended_at else None,
        "event_id": report.event_id,
    }
