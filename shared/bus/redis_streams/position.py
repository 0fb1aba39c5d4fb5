"""An event and a group of its stream in, how many unread entries lie before it out."""

from typing import Final, NamedTuple

from shared.bus.redis_streams.client import RedisClient, script

_LOOKED_AT_MOST: Final = 2000


class Found(NamedTuple):
    """Where the event is among the entries that the group was not given yet."""

    before: int | None
    """None when it is not among those that were looked at."""
    is_whole: bool
    """Whether all of them were looked at."""


class Position:
    """Looks at the first 2,000 unread entries: more would hold up Redis."""

    def __init__(self, client: RedisClient) -> None:
        self._position = script(client, "shared.bus.redis_streams", "position")

    async def __call__(self, stream: str, group: str, event_id: str) -> Found:
        """The place of the event, by its attribute `ce-id` or as a reference to its job."""
        before = await self._position([stream], [group, event_id, _LOOKED_AT_MOST])
        return Found(before if before >= 0 else None, is_whole=before != -2)  # noqa: PLR2004 - the script's word
