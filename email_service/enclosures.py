"""The files that go along with a mail: their keys in the object store in, their bytes out, within a limit."""

import asyncio
from collections.abc import Sequence
from typing import Final

from email_service.mail import Enclosure
from email_service.templates import Unsendable
from shared.contracts import Attachment
from shared.objects import ObjectMissing, Objects

AT_A_TIME: Final = 2
"""So many mails with attachments are in the memory of one process; others go past them."""


class Enclosures:
    """Reads attachments. `largest` is what a whole mail may have in bytes, as it goes to the relay.

    Who has read some holds one of the `turns` until the mail is sent: it may be a hundred megabytes.
    """

    def __init__(self, objects: Objects, *, largest: int) -> None:
        self._objects = objects
        self.largest = largest
        self.turns = asyncio.Semaphore(AT_A_TIME)

    async def read(self, attachments: Sequence[Attachment]) -> list[Enclosure]:
        """The files, in their order; Unsendable before any is read when they are too large together.

        ObjectMissing for one that is not there, or not there yet; an outage raises OBJECTS_AWAY.
        """
        if not attachments:
            return []
        sizes = [await self._size(attachment) for attachment in attachments]
        if _encoded(sum(sizes)) > self.largest:
            raise Unsendable(
                f"the attachments have {sum(sizes):,} bytes, a third more as a mail; "
                f"MAIL_SIZE_MAX allows {self.largest:,}"
            )
        return [
            Enclosure(
                attachment.name,
                attachment.media_type,
                await self._objects.read_all(attachment.key, limit_bytes=self.largest),
            )
            for attachment in attachments
        ]

    async def _size(self, attachment: Attachment) -> int:
        found = await self._objects.find(attachment.key)
        if found is None:
            raise ObjectMissing(attachment.key)
        return found.size_bytes


def _encoded(size_bytes: int) -> int:
    """In base64: four characters for three bytes, a line end after 76 of them."""
    characters = -(-size_bytes // 3) * 4
    return characters + 2 * -(-characters // 76)
