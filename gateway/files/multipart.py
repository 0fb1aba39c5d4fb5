"""A multipart/form-data body with one file, part by part: pieces of the body in, pieces of the file out."""

from typing import Final

from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header

from gateway.door.problem_kinds import BAD_REQUEST, INVALID, UNSUPPORTED_MEDIA_TYPE
from gateway.door.problems import Refused
from gateway.files.names import file_name
from shared.errors import Problem

FORM: Final = "multipart/form-data"
OVERHEAD_BYTES: Final = 64 * 1024
"""So much around the file a body may have: boundaries, headers of parts."""

_LONGEST_BOUNDARY: Final = 70  # RFC 2046, section 5.1.1


class OneFile:
    """The one file of a form. `name` and `media_type` are known when its first bytes are."""

    def __init__(self, content_type: str) -> None:
        self.name = ""
        self.media_type: str | None = None
        self._pieces: list[bytes] = []
        self._field = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._is_found = self._is_complete = False
        self._parser = MultipartParser(
            _boundary(content_type),
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_field,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_file,
                "on_part_data": self._add_data,
                "on_end": self._end,
            },
        )

    def feed(self, piece: bytes) -> bytes:
        """What of the file is in this piece of the body; Refused when it is no form with one file."""
        try:
            self._parser.write(piece)
        except MultipartParseError as error:
            raise Refused(BAD_REQUEST, f"the body is no {FORM}: {error}") from None
        found, self._pieces = b"".join(self._pieces), []
        return found

    def finish(self) -> None:
        """The body has ended; Refused when the form or its file has not."""
        if not self._is_complete:
            raise Refused(BAD_REQUEST, "the form ends before its last boundary")
        if not self._is_found:
            raise _unfit("file", "is missing: send one part with a filename")

    def _begin_part(self) -> None:
        self._headers = {}

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _begin_file(self) -> None:
        _, parameters = parse_options_header(self._headers.get(b"content-disposition"))
        filename = parameters.get(b"filename")
        if filename is None:
            field = _text(parameters.get(b"name", b""))
            raise _unfit(field, "is no file: send one part with a filename and nothing else")
        if self._is_found:
            raise _unfit("file", "is there twice: send each file in a request of its own")
        self._is_found = True
        self.name = file_name(_unescaped(_text(filename)))
        self.media_type = _text(self._headers[b"content-type"]) if b"content-type" in self._headers else None

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _end(self) -> None:
        self._is_complete = True


def is_form(content_type: str) -> bool:
    """Whether the body is a form."""
    return content_type.partition(";")[0].strip().lower() == FORM


def _unescaped(filename: str) -> str:
    """Browsers escape three characters of a filename (HTML, section 4.10.21.8), and nothing else."""
    return filename.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _boundary(content_type: str) -> bytes:
    _, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary", b"")
    if not 1 <= len(boundary) <= _LONGEST_BOUNDARY:
        raise Refused(
            UNSUPPORTED_MEDIA_TYPE, f"{FORM} needs a boundary of 1 to {_LONGEST_BOUNDARY} characters"
        )
    return boundary


def _unfit(field: str, fault: str) -> Refused:
    return Refused(INVALID, f"{field}: {fault}", errors=[Problem(f"/{field}", fault)])
