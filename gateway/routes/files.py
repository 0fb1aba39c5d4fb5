"""Files: uploaded with their event in one commit; what is known of them, their bytes and artifacts."""

from contextlib import suppress
from hashlib import blake2b
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response, status
from pydantic import AwareDatetime, BaseModel, Field, JsonValue

from gateway.door.accepted import RETRY_AFTER, SOURCE, AcceptedJob, json_response, of_event
from gateway.door.keys import Scope, needs
from gateway.door.pages import Limit, json_answer
from gateway.door.problem_kinds import (
    BAD_REQUEST,
    DIGEST_MISMATCH,
    FILE_TOO_LARGE,
    INVALID,
    NOT_FOUND,
    RANGE_UNSATISFIABLE,
    UNSUPPORTED_MEDIA_TYPE,
    UPLOAD_STALLED,
)
from gateway.door.problems import Refused, documented
from gateway.door.uuids import as_uuid
from gateway.files.book import UPLOADED, FileBook, FileRow, enter
from gateway.files.cleanup import remove_all_of
from gateway.files.digests import repr_digest
from gateway.files.downloads import Download, send
from gateway.files.upload import artifact_key, content_key, upload_of
from gateway.parts import EngineDep, JobsDep, LedgerDep, ObjectsDep, TracingDep
from shared.contracts import FileUploaded, new_id, wrap
from shared.errors import Problem
from shared.objects import OBJECTS_AWAY

router = APIRouter(prefix="/v1/files", tags=["files"])

FileStatus = Literal["uploaded", "processed", "rejected"]

_BINARY: Final[dict[str, Any]] = {"type": "string", "format": "binary"}
_UPLOAD_BODY: Final = {
    "required": True,
    "content": {
        "*/*": {"schema": _BINARY},
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": _BINARY}, "required": ["file"]}
        },
    },
}
_DOWNLOAD: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The bytes.", "content": {"*/*": {"schema": _BINARY}}},
    206: {"description": "The range of them that was asked for.", "content": {"*/*": {"schema": _BINARY}}},
    304: {"description": "Not changed."},
}


class FileSummary(BaseModel):
    """A file. Instants are RFC 3339 in UTC."""

    id: str = Field(examples=["0192f0c1-7a3b-7cde-8f01-23456789abcd"])
    status: FileStatus
    name: str = Field(examples=["orders.csv"])
    media_type: str = Field(examples=["text/csv"], description="As the client said; see profile.media_type.")
    size_bytes: int
    sha256: str
    content_href: str
    reason: str | None = Field(description="Why it was rejected.")
    uploaded_at: AwareDatetime
    finished_at: AwareDatetime | None
    event_id: str


class ArtifactLink(BaseModel):
    """Something made from the file."""

    name: str
    media_type: str
    size_bytes: int
    href: str


class FileView(FileSummary):
    """A file and what is in it; docs/files.md lists the fields of a profile."""

    profile: dict[str, JsonValue] | None
    artifacts: list[ArtifactLink]


class UploadedFile(FileSummary):
    """A file that was taken just now, and what follows from it."""

    jobs: list[AcceptedJob]
    trace_id: str | None


class FilePage(BaseModel):
    """Files, newest first; `next` is the cursor of the next page, null on the last."""

    items: list[FileSummary]
    next: str | None


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Scope.PUBLISH)],
    summary="Upload a file",
    response_model=None,
    responses={
        202: {"model": UploadedFile, "description": "The bytes are kept, row and event committed."},
        **documented(
            BAD_REQUEST, UPLOAD_STALLED, FILE_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID, DIGEST_MISMATCH
        ),
    },
    openapi_extra={
        "requestBody": _UPLOAD_BODY,
        "parameters": [
            {
                "name": "name",
                "in": "query",
                "required": False,
                "description": "What the file is called; needed unless the body is a form.",
                "schema": {"type": "string", "maxLength": 200},
                "example": "orders.csv",
            }
        ],
    },
)
async def upload_file(request: Request, ledger: LedgerDep, jobs: JobsDep, tracing: TracingDep) -> Response:
    """Take a file of any size: as the body, with `?name=` and its Content-Type, or as a form with one file.

    Its bytes are in the object store when this is called (gateway/files/uploads.py); its row and the event
    are one commit.
    """
    upload, event_id = upload_of(request), new_id()
    event = wrap(
        FileUploaded(
            file_id=upload.id,
            name=upload.name,
            media_type=upload.media_type,
            size_bytes=upload.size_bytes,
            sha256=upload.sha256,
        ),
        source=SOURCE,
        id=event_id,
        traceparent=tracing.create(FileUploaded.type, event_id),
    )
    upload.is_entered = True
    async with ledger.transaction() as transaction:
        view = await enter(transaction.connection, upload, event_id=event_id)
        await transaction.write(event)
    _, expected, trace_id = await of_event(event, jobs)
    return json_response(
        view | {"jobs": expected, "trace_id": trace_id},
        status.HTTP_202_ACCEPTED,
        {"Location": f"/v1/files/{upload.id}", "Retry-After": RETRY_AFTER},
    )


@router.get("", dependencies=[needs(Scope.READ)], response_model=FilePage, responses=documented(INVALID))
async def list_files(
    *,
    engine: EngineDep,
    status: FileStatus | None = None,
    cursor: Annotated[
        str | None, Query(description="`next` of the page before; the first page without.")
    ] = None,
    limit: Limit = 50,
) -> Response:
    """Files, newest first, without their profiles."""
    before = as_uuid(cursor) if cursor is not None else None
    if cursor is not None and before is None:
        fault = "is no cursor of ours; take the `next` of a page"
        raise Refused(INVALID, f"cursor: {fault}", errors=[Problem("/cursor", fault)])
    items, after = await FileBook(engine).page(status=status, before=before, limit=limit)
    return json_answer({"items": items, "next": after})


@router.get(
    "/{file_id}",
    dependencies=[needs(Scope.READ)],
    response_model=FileView,
    responses={304: {"description": "Not changed."}, **documented(NOT_FOUND)},
)
async def show_file(
    file_id: str, engine: EngineDep, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """The file with its profile and artifacts; while it is `uploaded` the answer comes with Retry-After."""
    id_ = as_uuid(file_id)
    view = await FileBook(engine).view(id_) if id_ else None
    if view is None:
        raise _unknown()
    body = msgspec.json.encode(view)
    headers = {"ETag": f'"{blake2b(body, digest_size=12).hexdigest()}"', "Cache-Control": "no-cache"}
    if view["status"] == UPLOADED:
        headers["Retry-After"] = RETRY_AFTER
    if if_none_match is not None and headers["ETag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@router.get(
    "/{file_id}/content",
    dependencies=[needs(Scope.READ)],
    response_model=None,
    responses=_DOWNLOAD | documented(NOT_FOUND, RANGE_UNSATISFIABLE),
)
async def download_file(request: Request, file_id: str, engine: EngineDep, objects: ObjectsDep) -> Response:
    """The bytes as they came, or one range of them."""
    file = await _found(file_id, engine)
    download = Download(content_key(file.id), file.name, file.media_type, file.size_bytes, file.sha256)
    return await send(objects, download, request.headers, {"Repr-Digest": repr_digest(file.sha256)})


@router.get(
    "/{file_id}/artifacts/{name}",
    dependencies=[needs(Scope.READ)],
    response_model=None,
    responses=_DOWNLOAD | documented(NOT_FOUND, RANGE_UNSATISFIABLE),
)
async def download_artifact(
    request: Request, file_id: str, name: str, engine: EngineDep, objects: ObjectsDep
) -> Response:
    """What was made from the file, by the name that the file's view lists."""
    file = await _found(file_id, engine)
    artifact = next((one for one in file.artifacts if one["name"] == name), None)
    if artifact is None:
        raise Refused(NOT_FOUND, "the file has no artifact of this name")
    key, size_bytes = artifact_key(file.id, name), int(artifact["size_bytes"])
    # A file has one outcome, so its id and the name tell one artifact from all others.
    etag = blake2b(f"{key} {size_bytes}".encode(), digest_size=12).hexdigest()
    download = Download(key, name, artifact["media_type"], size_bytes, etag)
    return await send(objects, download, request.headers)


@router.delete(
    "/{file_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[needs(Scope.OPERATE)],
    response_model=None,
    responses=documented(NOT_FOUND),
)
async def remove_file(file_id: str, engine: EngineDep, objects: ObjectsDep) -> Response:
    """Forget the file and remove its bytes and artifacts; jobs that work on it reject it."""
    id_ = as_uuid(file_id)
    if not id_ or not await FileBook(engine).remove(id_):
        raise _unknown()
    with suppress(*OBJECTS_AWAY):  # what is left has no row any more: cleanup removes it
        await remove_all_of(objects, id_)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def _found(file_id: str, engine: EngineDep) -> FileRow:
    id_ = as_uuid(file_id)
    file = await FileBook(engine).find(id_) if id_ else None
    if file is None:
        raise _unknown()
    return file


def _unknown() -> Refused:
    return Refused(NOT_FOUND, "no file has this id")
