"""What is in a Redis stream, for who looks at it from outside: entry ids in, whether they are there out."""

import re
from collections.abc import Sequence

from redis.exceptions import ResponseError

from shared.bus.redis_streams.client import UNAVAILABLE, RedisClient, script
from shared.bus.redis_streams.wire import stream_of
from shared.errors import BusUnavailable

_ENTRY_ID = re.compile(r"\d{1,19}-\d{1,19}")
_NO_ENTRY = "0-0"


class RedisLookup:
    """Reads streams and changes nothing; BusUnavailable when Redis does not answer."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._existing = script(client, "shared.bus.redis_streams", "existing")

    async def existing(self, stream: str, entry_ids: Sequence[str]) -> list[bool]:
        """Whether each of the entries is in the stream; what is no entry id is not."""
        fit = [entry_id if _ENTRY_ID.fullmatch(entry_id) else _NO_ENTRY for entry_id in entry_ids]
        try:
            return [bool(there) for there in await self._existing([stream], [*fit])]
        except UNAVAILABLE as error:
            raise _unavailable(error) from error

    async def are_waiting(self, group: str, event_type: str) -> bool:
        """Whether the group has entries of this type to take or to acknowledge."""
        stream = stream_of(event_type)
        try:
            for found in await self._client.xinfo_groups(stream):
                if found["name"] == group.encode():
                    # Redis does not know the lag of a group whose stream has lost entries in the middle.
                    return found["pending"] > 0 or found["lag"] is None or found["lag"] > 0
            # A group is made at the beginning of the stream: whatever lies there waits for it.
            return await self._client.xlen(stream) > 0
        except ResponseError as error:
            if "no such key" not in str(error):
                raise _unavailable(error) from error
            return False
        except UNAVAILABLE as error:
            raise _unavailable(error) from error


def _unavailable(error: BaseException) -> BusUnavailable:
    return BusUnavailable(f"redis does not answer: {error}")
