"""A file that lies in the object store and has no row yet; the request carries it to its route."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from starlette.requests import Request

if TYPE_CHECKING:
    from starlette.types import Scope

FILES: Final = "files"
_UPLOAD: Final = "trunkline.upload"


@dataclass(slots=True)
class Upload:
    """What came: its bytes lie under `content_key(id)`."""

    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    is_entered: bool = field(default=False, compare=False)
    """Whether its row is committed or about to be: from then on its bytes may be somebody's."""


def content_key(file_id: str) -> str:
    """Where the bytes of a file lie."""
    return f"{FILES}/{file_id}/content"


def artifact_key(file_id: str, name: str) -> str:
    """Where what was made from a file lies."""
    return f"{FILES}/{file_id}/artifacts/{name}"


def carry(scope: "Scope", upload: Upload) -> None:
    """Give the upload to the route that will be called with this scope."""
    scope[_UPLOAD] = upload


def upload_of(request: Request) -> Upload:
    """The upload that came with the request."""
    return cast("Upload", request.scope[_UPLOAD])
