"""The address of a Postgres in, an engine out that acts as one service and gives up in time."""

from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.errors import SettingsError
from shared.settings import Secret

DatabaseUrl = Secret
"""`postgresql://user:password@host:port/database`."""

_SESSION = {
    "statement_timeout": "30s",
    "lock_timeout": "2s",
    # A paused process inside a transaction would hold its row locks for ever.
    "idle_in_transaction_session_timeout": "5s",
    # asyncpg's type look-ups are tiny queries that the JIT compiler makes a hundred times slower.
    "jit": "off",
}


def role_of(service: str) -> str:
    """The role that owns the service's schema."""
    return f"trunkline_{service}"


def connect(url: DatabaseUrl, *, service: str, pool_size: int = 10) -> AsyncEngine:
    """An engine whose connections act as the service's role in the service's schema.

    Connections are opened when first used. SettingsError when the address is none.
    """
    session = {**_SESSION, "application_name": f"trunkline-{service}", "search_path": service}
    return create_async_engine(
        address(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        pool_pre_ping=True,
        # An error would quote the values of its statement: addresses, tokens.
        hide_parameters=True,
        connect_args={"timeout": 5, "server_settings": {**session, "role": role_of(service)}},
    )


def address(url: DatabaseUrl) -> URL:
    """The address with the driver that we use."""
    try:
        parsed = make_url(url.get_secret_value())
    except ArgumentError as error:
        raise SettingsError(
            "DATABASE_URL: is no address; give postgresql://user:password@host:port/database"
        ) from error
    if parsed.get_backend_name() != "postgresql":
        raise SettingsError(f"DATABASE_URL: begins with {parsed.drivername}://; give postgresql://")
    return parsed.set(drivername="postgresql+asyncpg")


async def check(engine: AsyncEngine) -> None:
    """Return when Postgres answers; raises what SQLAlchemy raises when it does not."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
