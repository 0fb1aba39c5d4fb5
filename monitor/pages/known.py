"""A path of the API in, what is there out; None where nothing is."""

from http import HTTPStatus
from typing import Any, Final

from shared.api import GatewayApi, Refusal

# 422: text that cannot be an id at all.
_NOTHING: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY})


async def known(api: GatewayApi, path: str) -> dict[str, Any] | None:
    """The JSON at the path. Raises what the API raises, but for what says that there is nothing."""
    try:
        return await api.get(path, quiet=True)
    except Refusal as refusal:
        if refusal.status in _NOTHING:
            return None
        raise
