"""A file's name in, its address out: with a digest of its content, so that a browser may keep it for ever."""

import os
from hashlib import sha256
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import Scope


class Assets:
    """The files of monitor/static, read once."""

    def __init__(self, folder: Path) -> None:
        self._digests = {
            file.name: sha256(file.read_bytes()).hexdigest()[:12]
            for file in folder.iterdir()
            if file.is_file()
        }

    def url(self, name: str) -> str:
        """The file's address; KeyError where there is none of that name."""
        return f"/static/{name}?v={self._digests[name]}"


class KeptFiles(StaticFiles):
    """Serves them; what is asked for by its digest is kept by the browser."""

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The file."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        if scope["query_string"].startswith(b"v="):
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
