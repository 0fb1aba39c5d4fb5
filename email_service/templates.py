"""The templates of mail: a name and fields in, subject, text and HTML out. Fields are data, never templates.

A template is a pair of files in the folder: `<name>.txt.j2`, which also sets `subject`, and `<name>.html.j2`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from shared.errors import TrunklineError

if TYPE_CHECKING:
    from jinja2 import Template

LARGEST = 1_000_000
"""Characters of a rendered part; what is longer is refused."""

Field = str | int | float | bool | None
Table = Sequence[Mapping[str, Field]]
"""Rows of a table in a mail, each with the same fields."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Unsendable(TrunklineError):
    """What was asked for can never be a mail; the message says why, another attempt cannot cure it."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a mail says; `html` None makes it a mail of text alone."""

    subject: str
    text: str
    html: str | None = None


class Templates:
    """The templates of one folder, compiled once; files that begin with _ are parts of others."""

    def __init__(self, folder: Path) -> None:
        # The sandbox is a second wall: a mistake in one of our templates must not open the process.
        environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(folder),
            autoescape=_is_html,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.filters["web_address"] = web_address
        self._pairs = {
            name: (environment.get_template(f"{name}.txt.j2"), environment.get_template(f"{name}.html.j2"))
            for name in _names(folder)
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The known templates, sorted."""
        return tuple(sorted(self._pairs))

    def render(self, name: str, fields: Mapping[str, Field | Table]) -> Content:
        """What the template says with these fields; None is not given. Unsendable says what is missing."""
        if name not in self._pairs:
            raise Unsendable(f"unknown template {name!r}; known are: {', '.join(self.names)}")
        given = {field: value for field, value in fields.items() if value is not None}
        plain, rich = self._pairs[name]
        try:
            text, subject = _render(plain, given)
            html, _ = _render(rich, given)
        except (TemplateError, OverflowError) as error:
            raise Unsendable(f"template {name!r}: {error}") from error
        return Content(subject=subject, text=text, html=html)


def web_address(value: object) -> str:
    """The value, when it is an absolute http(s) URL; a filter of templates. Unsendable for `javascript:`."""
    text = str(value)
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    clean = all(char.isprintable() and not char.isspace() for char in text)
    if parts.scheme not in ("http", "https") or not parts.hostname or not clean or "\\" in text:
        raise Unsendable("a link must be an absolute http:// or https:// address")
    return text


def _render(template: "Template", fields: Mapping[str, Field | Table]) -> tuple[str, str]:
    context = template.new_context(dict(fields))
    text = _joined(template.root_render_func(context))
    return text.strip() + "\n", str(context.vars.get("subject", ""))


def _joined(pieces: Iterable[str]) -> str:
    kept: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > LARGEST:
            raise Unsendable(f"the mail is longer than {LARGEST} characters")
        kept.append(piece)
    return "".join(kept)


def _is_html(file: str | None) -> bool:
    return file is None or not file.endswith(".txt.j2")


def _names(folder: Path) -> list[str]:
    names = [file.name.removesuffix(".txt.j2") for file in folder.glob("*.txt.j2")]
    return [name for name in names if _NAME.fullmatch(name)]
