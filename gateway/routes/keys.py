"""API keys over HTTP: made, listed and revoked by an admin; a key itself is shown once, when it is made."""

from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_urlsafe
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response, status
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from gateway.door.accepted import json_response
from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Key, Scope, Source, key_of, needs
from gateway.door.pages import CursorText, Limit, json_answer
from gateway.door.problem_kinds import (
    IDEMPOTENCY_KEY_NOT_TAKEN,
    INVALID,
    KEY_NAME_TAKEN,
    KEY_OF_SETTING,
    MALFORMED_JSON,
    NOT_FOUND,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, documented
from gateway.door.uuids import as_uuid
from gateway.keys import book
from gateway.keys.book import By, StoredKey
from gateway.parts import EngineDep, KeyRingDep
from shared.clock import from_rfc3339, rfc3339
from shared.contracts import new_id
from shared.errors import Problem
from shared.telemetry import current_traceparent, get_logger, trace_id_of

router = APIRouter(prefix="/v1/keys", tags=["keys"], dependencies=[needs(Scope.ADMIN)])
log = get_logger()

_OF_SETTING: Final = "sha256:"
_SECRET_BYTES: Final = 32


def _name(value: str) -> str:
    if not value.isprintable() or value != value.strip() or not value:
        raise ValueError("must be printable text without spaces around it")
    if value.startswith(_OF_SETTING):
        raise ValueError(f"must not begin with {_OF_SETTING}, as those of API_KEYS do")
    return value


def _to_come(value: object) -> datetime:
    try:
        instant = from_rfc3339(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("must be an RFC 3339 instant with its offset") from None
    if instant <= datetime.now(UTC):
        raise ValueError("must be in the future")
    return instant


class NewKey(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(strict=True, min_length=1, max_length=100), AfterValidator(_name)] = Field(
        examples=["shop-backend"], description="Whose it is; unique among keys that are not revoked."
    )
    scopes: list[Scope] = Field(min_length=1, description="What it may do; admin may do all.")
    expires_at: (
        Annotated[
            datetime, PlainValidator(_to_come), WithJsonSchema({"type": "string", "format": "date-time"})
        ]
        | None
    ) = Field(default=None, description="From then on it is refused; never when not given.")


class KeyView(BaseModel):
    """A key, without itself."""

    id: str
    name: str
    scopes: list[Scope]
    source: Source
    created_at: datetime | None = Field(description="null of the setting's.")
    created_by: str | None = Field(description="The name of the key that made it; null of the setting's.")
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute; null: never, or of the setting.")


class MadeKey(KeyView):
    """A key, and for this one time itself."""

    key: str = Field(examples=["tl_6cFfRqk0nLzVt5c1uWq9cE4vXb7mJp2sYd8hTg3iKoA"])


class KeyPage(BaseModel):
    """Those of API_KEYS, then the stored ones, the newest first; revoked ones, too."""

    items: list[KeyView]
    next: str | None


@router.get("", summary="All keys", response_model=KeyPage, responses=documented(INVALID))
async def list_keys(
    ring: KeyRingDep, engine: EngineDep, limit: Limit = 50, cursor: CursorText = None
) -> Response:
    """What is known of keys; none of them is shown itself."""
    setting = _of_setting_after(ring.setting, cursor)
    before = None if cursor is None or cursor.startswith(_OF_SETTING) else _id_of(cursor)
    async with engine.connect() as connection:
        stored = await book.page(connection, before=before, limit=limit + 1)
    views = [*map(_setting_view, setting), *map(_view, stored)]
    shown = views[:limit]
    return json_answer({"items": shown, "next": shown[-1]["id"] if len(views) > limit else None})


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Make a key",
    response_model=None,
    responses={
        201: {"model": MadeKey},
        **documented(
            IDEMPOTENCY_KEY_NOT_TAKEN, KEY_NAME_TAKEN, MALFORMED_JSON, UNSUPPORTED_MEDIA_TYPE, INVALID
        ),
    },
    openapi_extra=documented_body(
        NewKey,
        backend={"name": "shop-backend", "scopes": ["publish", "read"]},
        visitor={"name": "auditor", "scopes": ["read"], "expires_at": "2099-01-01T00:00:00Z"},
    ),
)
async def make_key(
    request: Request, wanted: Annotated[NewKey, json_body(NewKey)], ring: KeyRingDep, engine: EngineDep
) -> Response:
    """Make a key. `key` is in this answer and nowhere else; every gateway lets it in at once."""
    secret = f"tl_{token_urlsafe(_SECRET_BYTES)}"
    async with engine.begin() as connection:
        made = await book.add(
            connection,
            id_=new_id(),
            name=wanted.name,
            digest=sha256(secret.encode()).digest(),
            scopes=sorted(set(wanted.scopes)),
            expires_at=wanted.expires_at,
            by=_by(request),
        )
    if made is None:
        raise Refused(
            KEY_NAME_TAKEN,
            f"a key named {wanted.name} is there, and not revoked",
            errors=[Problem("/name", "is taken")],
        )
    ring.add(made.key())
    _tell("key.created", request, key_id=made.id, name=made.name, scopes="+".join(made.scopes))
    headers = {"Location": f"/v1/keys/{made.id}", "Cache-Control": "no-store"}
    return json_response(_view(made) | {"key": secret}, status.HTTP_201_CREATED, headers)


@router.get("/{id}", summary="One key", response_model=KeyView, responses=documented(NOT_FOUND))
async def show_key(id: str, ring: KeyRingDep, engine: EngineDep) -> Response:  # noqa: A002 - the path's word
    """What is known of a key; not the key itself."""
    of_setting = next((key for key in ring.setting if key.id == id), None)
    return json_answer(_setting_view(of_setting) if of_setting else _view(await _known(engine, id)))


@router.delete(
    "/{id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Revoke a key",
    responses=documented(NOT_FOUND, KEY_OF_SETTING),
)
async def revoke_key(request: Request, id: str, ring: KeyRingDep, engine: EngineDep) -> Response:  # noqa: A002 - the path's word
    """Revoke a key for good: here at once, in every gateway within 2 s. Again is fine, and does nothing."""
    if any(key.id == id for key in ring.setting):
        raise Refused(
            KEY_OF_SETTING, f"{id} is of the setting API_KEYS: take it out there, and restart the gateways"
        )
    key = await _known(engine, id)
    async with engine.begin() as connection:
        revoked = await book.revoke(connection, key.id, _by(request))
    ring.drop(key.id)
    if revoked is not None:
        _tell("key.revoked", request, key_id=key.id, name=key.name)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def _known(engine: EngineDep, given: str) -> StoredKey:
    id_ = as_uuid(given)
    if id_ is not None:
        async with engine.connect() as connection:
            key = await book.find(connection, id_)
        if key is not None:
            return key
    raise Refused(NOT_FOUND, "no key has this id")


def _of_setting_after(setting: tuple[Key, ...], cursor: str | None) -> list[Key]:
    ordered = sorted(setting, key=lambda key: key.id)
    if cursor is None:
        return ordered
    return [key for key in ordered if cursor.startswith(_OF_SETTING) and key.id > cursor]


def _id_of(cursor: str) -> str:
    id_ = as_uuid(cursor)
    if id_ is None:
        why = "is not the `next` of a page"
        raise Refused(INVALID, f"cursor: {why}", errors=[Problem("/cursor", why)])
    return id_


def _view(key: StoredKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "source": str(Source.STORED),
        "created_at": rfc3339(key.created_at),
        "created_by": key.created_by,
        "expires_at": _instant(key.expires_at),
        "revoked_at": _instant(key.revoked_at),
        "last_used_at": _instant(key.last_used_at),
    }


def _setting_view(key: Key) -> dict[str, Any]:
    unknown = dict.fromkeys(("created_at", "created_by", "expires_at", "revoked_at", "last_used_at"))
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "source": str(key.source),
        **unknown,
    }


def _instant(value: datetime | None) -> str | None:
    return None if value is None else rfc3339(value)


def _by(request: Request) -> By:
    caller = key_of(request.scope)
    return By(
        name=caller.name,
        actor=caller.digest.hex()[:12] or caller.name,
        trace_id=trace_id_of(current_traceparent()),
    )


def _tell(what: str, request: Request, **facts: str) -> None:
    by = _by(request)
    log.info(what, **facts, key=by.actor, by=by.name)
