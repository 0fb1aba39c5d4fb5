"""The catalogue over HTTP: products in and out; goods that came in are an event to the inventory."""

import re
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Header, Path, Query, status
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from gateway.door.accepted import RETRY_AFTER, AcceptedJob, announced, json_response, of_event
from gateway.door.etags import fresh_or_304, tags_in
from gateway.door.json_body import documented_body, json_body
from gateway.door.keys import Scope, needs
from gateway.door.pages import Limit, json_answer
from gateway.door.problem_kinds import (
    BODY_TOO_LARGE,
    INVALID,
    MALFORMED_JSON,
    NOT_FOUND,
    PRECONDITION_FAILED,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.door.problems import Refused, documented
from gateway.parts import JobsDep, LedgerDep, ProductsDep, TracingDep
from gateway.shop.products import Precondition, Product, Unexpected
from shared.clock import rfc3339
from shared.contracts import Cents, GoodsReceived, Sku
from shared.errors import Problem

router = APIRouter(prefix="/v1/products", tags=["products"])

_BODY_PROBLEMS: Final = (MALFORMED_JSON, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID)
_REVISION: Final = re.compile(r'"(\d{1,9})\.\d{1,19}"')

SkuInPath = Annotated[Sku, Path(description="Letters, digits, `.`, `_`, `-`; up to 64 characters.")]
ProductName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$"),
]


class NewProduct(BaseModel):
    """What the catalogue is to say of a product."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: ProductName = Field(examples=["Tea, 100 g"])
    unit_price_cents: Cents = Field(examples=[450])


class ProductView(BaseModel):
    """A product. `available` is what the inventory said last; 0 while it has said nothing."""

    sku: str = Field(examples=["TEA-100"])
    name: str
    unit_price_cents: int
    available: int
    created_at: str
    changed_at: str


class ProductPage(BaseModel):
    """Products in the order of their skus; `next` is the cursor of the next page, null on the last."""

    items: list[ProductView]
    next: str | None


class NewGoods(BaseModel):
    """Goods that came in; less than 0: a correction, or goods that left otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    quantity: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = Field(examples=[50])


class ReceivedGoods(BaseModel):
    """The inventory is told; `available` of the product changes when it has counted."""

    sku: str
    quantity: int
    status: str = Field(examples=["received"])
    event_id: str
    jobs: list[AcceptedJob]
    trace_id: str | None


@router.put(
    "/{sku}",
    dependencies=[needs(Scope.PUBLISH)],
    summary="Enter or change a product",
    response_model=None,
    responses={
        200: {"model": ProductView, "description": "Changed, or the same as before."},
        201: {"model": ProductView, "description": "New in the catalogue."},
        **documented(*_BODY_PROBLEMS, PRECONDITION_FAILED),
    },
    openapi_extra=documented_body(NewProduct, tea={"name": "Tea, 100 g", "unit_price_cents": 450}),
)
async def put_product(
    sku: SkuInPath,
    product: Annotated[NewProduct, json_body(NewProduct)],
    products: ProductsDep,
    if_match: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Enter a product in the catalogue, or change its name and price; the same again changes nothing.

    With the ETag of an earlier answer in `If-Match` only what nobody else changed since is changed; that
    stock came or went does not count. `If-None-Match: *` only enters what is new.
    """
    try:
        entered, is_new = await products.put(
            sku, product.name, product.unit_price_cents, expected=_expected(if_match, if_none_match)
        )
    except Unexpected as unexpected:
        now = f"its ETag is {_etag(unexpected.product)}" if unexpected.product else "there is none"
        raise Refused(PRECONDITION_FAILED, f"the product is not as expected: {now}") from None
    headers = {"ETag": _etag(entered), "Location": f"/v1/products/{sku}"}
    return json_response(_view(entered), status.HTTP_201_CREATED if is_new else status.HTTP_200_OK, headers)


@router.get(
    "",
    dependencies=[needs(Scope.READ)],
    summary="The catalogue",
    response_model=ProductPage,
    responses=documented(INVALID),
)
async def list_products(
    products: ProductsDep,
    cursor: Annotated[
        Sku | None, Query(description="`next` of the page before; the first page without.")
    ] = None,
    limit: Limit = 50,
) -> Response:
    """Products in the order of their skus, with what is available of each."""
    found, next_ = await products.page(after=cursor, limit=limit)
    return json_answer({"items": [_view(product) for product in found], "next": next_})


@router.get(
    "/{sku}",
    dependencies=[needs(Scope.READ)],
    summary="One product",
    response_model=None,
    responses={200: {"model": ProductView}, 304: {}, **documented(NOT_FOUND)},
)
async def get_product(
    sku: str, products: ProductsDep, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """A product with what is available of it."""
    product = await products.find(sku)
    if product is None:
        raise _unknown()
    return fresh_or_304(msgspec.json.encode(_view(product)), _etag(product), if_none_match)


@router.post(
    "/{sku}/stock",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Scope.PUBLISH)],
    summary="Goods came in",
    response_model=None,
    responses={
        202: {"model": ReceivedGoods, "description": "Committed; Location says where to look next."},
        **documented(NOT_FOUND, *_BODY_PROBLEMS),
    },
    openapi_extra=documented_body(NewGoods, delivery={"quantity": 50}, correction={"quantity": -2}),
)
async def receive_goods(
    *,
    sku: str,
    goods: Annotated[NewGoods, json_body(NewGoods)],
    products: ProductsDep,
    ledger: LedgerDep,
    jobs: JobsDep,
    tracing: TracingDep,
) -> Response:
    """Tell the inventory of goods that came in, and answer at once: it counts."""
    if await products.find(sku) is None:
        raise _unknown()
    if not goods.quantity:
        raise Refused(
            INVALID, "quantity: 0 changes nothing", errors=[Problem("/quantity", "0 changes nothing")]
        )
    event = announced(GoodsReceived(sku=sku, quantity=goods.quantity), tracing)
    await ledger.accept([event])
    event_id, expected, trace_id = await of_event(event, jobs)
    location = expected[0]["href"] if len(expected) == 1 else f"/v1/events/{event_id}"
    document = {
        "sku": sku,
        "quantity": goods.quantity,
        "status": "received",
        "event_id": event_id,
        "jobs": expected,
        "trace_id": trace_id,
    }
    return json_response(
        document, status.HTTP_202_ACCEPTED, {"Location": location, "Retry-After": RETRY_AFTER}
    )


def _unknown() -> Refused:
    return Refused(NOT_FOUND, "no product has this sku")


def _expected(if_match: str | None, if_none_match: str | None) -> Precondition:
    """The headers' meaning. A tag that is none of ours fits no revision, as RFC 9110 wants it."""
    tags = tags_in(if_match) if if_match is not None else []
    matches = [_REVISION.fullmatch(tag) for tag in tags]
    return Precondition(
        revisions=None if not tags or "*" in tags else frozenset(int(match[1]) for match in matches if match),
        must_exist="*" in tags,
        must_be_new=if_none_match is not None and "*" in tags_in(if_none_match),
    )


def _etag(product: Product) -> str:
    """The catalogue's revision, which If-Match looks at, and the stock."""
    return f'"{product.revision}.{product.available}"'


def _view(product: Product) -> dict[str, Any]:
    return {
        "sku": product.sku,
        "name": product.name,
        "unit_price_cents": product.unit_price_cents,
        "available": product.available,
        "created_at": rfc3339(product.created_at),
        "changed_at": rfc3339(product.changed_at),
    }
