"""The catalogue in Postgres: a sku in, the product with what is in stock out; and the stock as it is told."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.contracts import InventoryChanged

# Nothing is written where nothing changes: the revision counts changes. xmax is 0 of a row that is new.
_PUT: Final = text("""
    INSERT INTO gateway.products AS known (sku, name, unit_price_cents)
    VALUES (:sku, :name, :unit_price_cents)
    ON CONFLICT (sku) DO UPDATE SET name = excluded.name, unit_price_cents = excluded.unit_price_cents,
        revision = known.revision + 1, changed_at = now()
    WHERE (known.name, known.unit_price_cents) IS DISTINCT FROM (excluded.name, excluded.unit_price_cents)
    RETURNING xmax = 0 AS is_new
""")
_FIND: Final = """
    SELECT products.sku, name, unit_price_cents, revision, COALESCE(stock.available, 0) AS available,
        created_at, products.changed_at
    FROM gateway.products LEFT JOIN gateway.stock USING (sku)
"""
_ONE: Final = text(f"{_FIND} WHERE products.sku = :sku")
_LOCKED: Final = text(f"{_FIND} WHERE products.sku = :sku FOR UPDATE OF products")
_PAGE: Final = text(f"{_FIND} WHERE products.sku > :after ORDER BY products.sku LIMIT :limit")

# One without a version can only be taken as it comes; it never stands against one that has a version.
_PROJECT: Final = text("""
    INSERT INTO gateway.stock AS known (sku, available, version)
    VALUES (:sku, :available, CAST(:version AS bigint))
    ON CONFLICT (sku) DO UPDATE
    SET available = excluded.available, version = excluded.version, changed_at = now()
    WHERE known.version IS NULL OR excluded.version > known.version
    RETURNING sku
""")


class Product(NamedTuple):
    """A product of the catalogue. `available` is what the inventory said last; 0 while it said nothing."""

    sku: str
    name: str
    unit_price_cents: int
    revision: int
    available: int
    created_at: datetime
    changed_at: datetime


class Precondition(NamedTuple):
    """What the caller expects of the product: its revision; or that there is one, or none."""

    revisions: frozenset[int] | None = None
    must_exist: bool = False
    must_be_new: bool = False

    def holds(self, product: Product | None) -> bool:
        """Whether the product is as expected; None is that there is none."""
        if product is None:
            return self.revisions is None and not self.must_exist
        return not self.must_be_new and (self.revisions is None or product.revision in self.revisions)


class Unexpected(Exception):
    """The product is not as the caller expects; nothing was changed."""

    def __init__(self, product: Product | None) -> None:
        super().__init__("the product is not as expected")
        self.product = product


class Products:
    """Reads and writes the catalogue; raises what SQLAlchemy raises when Postgres is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reads = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def put(
        self, sku: str, name: str, unit_price_cents: int, *, expected: Precondition
    ) -> tuple[Product, bool]:
        """The product as it is now, and whether it is new. Unexpected when it was not as `expected`."""
        values = {"sku": sku, "name": name, "unit_price_cents": unit_price_cents}
        async with self._engine.begin() as connection:
            if expected != Precondition():
                row = (await connection.execute(_LOCKED, {"sku": sku})).one_or_none()
                found = Product(*row) if row else None
                if not expected.holds(found):
                    raise Unexpected(found)
            written = (await connection.execute(_PUT, values)).one_or_none()
            is_new = written is not None and bool(written.is_new)
            product = Product(*(await connection.execute(_ONE, {"sku": sku})).one())
            if expected.must_be_new and not is_new:  # somebody made it between our two statements
                raise Unexpected(product)
        return product, is_new

    async def find(self, sku: str) -> Product | None:
        """The product; None when the catalogue has none of this sku."""
        if "\0" in sku:
            return None
        async with self._reads.connect() as connection:
            row = (await connection.execute(_ONE, {"sku": sku})).one_or_none()
        return Product(*row) if row else None

    async def page(self, *, after: str | None, limit: int) -> tuple[Sequence[Product], str | None]:
        """A page of products in the order of their skus, and the sku after which the next one begins."""
        async with self._reads.connect() as connection:
            rows = (await connection.execute(_PAGE, {"after": after or "", "limit": limit + 1})).all()
        found = [Product(*row) for row in rows[:limit]]
        return found, found[-1].sku if len(rows) > limit else None


async def project(engine: AsyncEngine, change: InventoryChanged) -> bool:
    """Note what is in stock now; False for what is older than what is known, by its version."""
    values: dict[str, Any] = {
        "sku": change.sku,
        "available": change.available,
        "version": change.version,
    }
    async with engine.begin() as connection:
        return (await connection.execute(_PROJECT, values)).one_or_none() is not None
