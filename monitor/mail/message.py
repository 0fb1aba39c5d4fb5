"""A mail's bytes in, what people want to see of it out. Pure; what is broken is shown as what it is.

With the library's policy compat32, and headers cut: the newer policies parse the grammar of each header, a
second for each 30 kB of a hostile one, and raise on some; this one takes 17 s for a Content-Type of 1 MB.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32
from typing import Final
from urllib.parse import quote, unquote

from monitor.mail.headers import decoded, header, headers, visible

LARGEST_BYTES: Final = 40 * 1024 * 1024
"""Of a mail that is taken apart; the launcher's inbox takes 32 MB."""

_HEADER_LONGEST: Final = 10_000
_PARTS_MOST: Final = 200
_TEXT_LONGEST: Final = 200_000
_HTML_LONGEST: Final = 2_000_000
_IMAGES_BYTES: Final = 8 * 1024 * 1024
_NAME_LONGEST: Final = 150
_CID: Final = re.compile(r"\bcid:([^\"'\s>)]+)", re.IGNORECASE)
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}")
_FOLDERS: Final = re.compile(r".*[/\\]")
_JOB_IN_ID: Final = re.compile(r"<?([A-Za-z0-9_.-]+)\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@")


@dataclass(frozen=True)
class Part:
    """Something that came along; `number` is its place in the mail."""

    number: int
    name: str
    type: str
    content: bytes
    content_id: str

    @property
    def size_bytes(self) -> int:
        """Of what is downloaded."""
        return len(self.content)


@dataclass(frozen=True)
class Mail:
    """A mail taken apart."""

    headers: Sequence[tuple[str, str]]
    named: Mapping[str, str]
    """The headers that are shown by name, in lower case; "" for those that it has not."""
    text: str
    html: str
    attachments: Sequence[Part]
    faults: Sequence[str]
    """What is not as mails should be."""
    job_id: str
    """The job that sent it; "" when it is none of ours."""


_NAMED: Final[tuple[str, ...]] = (
    "subject",
    "from",
    "to",
    "cc",
    "date",
    "message-id",
    "x-trunkline-job",
    "x-trunkline-trace",
)


class _CutHeaders(Compat32):
    """The library's, but no header is longer than any that is of use."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        """Name and value of a header as the parser found it."""
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_HEADER_LONGEST]


_POLICY: Final = _CutHeaders()


def parsed(content: bytes) -> Message | None:
    """The mail as the library has it; None when it is nested deeper than can be read."""
    try:
        return BytesParser(policy=_POLICY).parsebytes(content)
    except (RecursionError, ValueError, LookupError):
        return None


def mail_of(content: bytes) -> Mail:
    """Take it apart, whatever it is."""
    message = parsed(content)
    if message is None:
        text = decoded(content, None)[:_TEXT_LONGEST]
        named: Mapping[str, str] = dict.fromkeys(_NAMED, "")
        return Mail((), named, text, "", (), ("it cannot be taken apart; this is how it came",), "")
    named = {name: header(message, name) for name in _NAMED}
    parts = list(leaves(message))
    text = next((one for one in parts if _is_body(one, "text/plain") or _is_hollow(one)), None)
    html = next((one for one in parts if _is_body(one, "text/html")), None)
    attachments = [
        _part(number, one) for number, one in enumerate(parts, start=1) if one is not text and one is not html
    ]
    return Mail(
        headers=list(headers(message)),
        named=named,
        text=_text(text)[:_TEXT_LONGEST] if text is not None else "",
        html=_with_images(_text(html)[:_HTML_LONGEST], attachments) if html is not None else "",
        attachments=attachments,
        faults=_faults(message, parts),
        job_id=job_of(named),
    )


def leaves(message: Message) -> Iterator[Message]:
    """What the mail consists of, in order: no containers, and a mail within it is one piece."""
    waiting = [message]
    for _ in range(_PARTS_MOST):
        if not waiting:
            return
        one = waiting.pop()
        payload = one.get_payload()
        if isinstance(payload, list) and one.get_content_maintype() == "multipart":
            waiting += [part for part in reversed(payload) if isinstance(part, Message)]
        else:
            yield one


def is_attached(part: Message) -> bool:
    """Whether it came along, rather than being what the mail says."""
    return part.get_content_disposition() == "attachment" or bool(_file_name(part))


def job_of(named: Mapping[str, str]) -> str:
    """The job by the header that our letters have; else by our Message-ID, `<handler.event-id@domain>`."""
    if named["x-trunkline-job"]:
        return named["x-trunkline-job"]
    found = _JOB_IN_ID.match(named["message-id"])
    return f"{found[1]}:{found[2]}" if found else ""


def _is_body(part: Message, type_: str) -> bool:
    return part.get_content_type() == type_ and not is_attached(part)


def _is_hollow(part: Message) -> bool:
    """Whether it says that it has parts and has none: what stands in it is text to us."""
    return part.get_content_maintype() == "multipart"


def _text(part: Message) -> str:
    return decoded(_content(part), part.get_content_charset())


def _content(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload
    inside = part.get_payload()
    try:
        return b"".join(one.as_bytes() for one in inside if isinstance(one, Message))
    except (RecursionError, ValueError, LookupError, TypeError):
        return b""


def _part(number: int, part: Message) -> Part:
    type_ = part.get_content_type().lower()
    type_ = type_ if _TYPE.fullmatch(type_) else "application/octet-stream"
    name = _FOLDERS.sub("", visible(_file_name(part))).strip(" .")[-_NAME_LONGEST:]
    return Part(
        number=number,
        name=name or f"part-{number}.{'eml' if type_ == 'message/rfc822' else type_.rpartition('/')[2]}",
        type=type_,
        content=_content(part),
        content_id=header(part, "content-id").strip("<> "),
    )


def _file_name(part: Message) -> str:
    try:
        return part.get_filename("") or ""
    except (ValueError, LookupError, TypeError):
        return ""


def _with_images(html: str, parts: Sequence[Part]) -> str:
    """The HTML with the images that came along in it: nothing is fetched from anywhere."""
    left = _IMAGES_BYTES
    images: dict[str, str] = {}
    for part in parts:
        if part.content_id and part.type.startswith("image/") and part.size_bytes <= left:
            left -= part.size_bytes
            images[part.content_id] = f"data:{part.type};base64,{b64encode(part.content).decode()}"
    return _CID.sub(lambda found: images.get(unquote(found[1]), "about:blank"), html)


def _faults(message: Message, parts: Sequence[Message]) -> list[str]:
    defects = [defect for one in (message, *parts) for defect in one.defects]
    names = dict.fromkeys(type(defect).__name__.removesuffix("Defect") for defect in defects)
    return [re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower() for name in names]


def disposition(name: str) -> str:
    """Content-Disposition of a download, RFC 6266."""
    plain = "".join(one if one.isascii() and one.isprintable() and one not in '"\\%' else "_" for one in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
