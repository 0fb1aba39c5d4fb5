"""Lines on stdout: one JSON object each, or readable on a terminal; our own and those of libraries alike.

Values under the name of a secret, a body or an address are replaced, and addresses within words are masked.
"""

import json
import logging
import os
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, cast

import structlog
from structlog.contextvars import merge_contextvars
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from shared.telemetry.redaction import REDACTED, is_secret, mask

if TYPE_CHECKING:
    from collections.abc import Mapping

LogFormat = Literal["json", "text"]

# FastStream sets the level of each broker's logger at its start, and adds a handler unless one is on stdout.
_CHATTY: Final = ("faststream", "faststream.access", "faststream.access.redis", "faststream.access.nats")
_OWN_HANDLERS: Final = ("uvicorn", "uvicorn.error", "nats", "sqlalchemy", "alembic")
_SILENT: Final = ("uvicorn.access",)  # TraceMiddleware writes that line

# Everything that moves the cursor or ends a line: C0, DEL, C1 and Unicode's two line ends.
_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x09: "\\t",
    0x0A: "\\n",
    0x0D: "\\r",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def configure_logging(
    service: str,
    *,
    level: str,
    format: LogFormat | None = None,  # noqa: A002 - the variable is LOG_FORMAT, and the word is the reader's
) -> None:
    """Send every line of this process to stdout; `format` None is text on a terminal and JSON elsewhere.

    Call it once, before the first line. Raises ValueError for a level that does not exist.
    """
    least = logging.getLevelNamesMapping().get(level.upper())
    if least is None:
        raise ValueError(f"LOG_LEVEL is {level}, but must be one of debug, info, warning, error, critical")
    as_text = format == "text" or (format is None and sys.stdout.isatty())
    processors: list[Processor] = [
        merge_contextvars,
        _stamp(service),
        _redact,
        *((_escape, _text_renderer()) if as_text else (_structure_exception, _render_json)),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: _Stdout(),
        cache_logger_on_first_use=True,
    )
    _adopt_standard_logging(processors, least)


def get_logger(**context: object) -> FilteringBoundLogger:
    """A logger whose lines carry `context`: log.info("job.finished", took_s=0.31). May be made at import."""
    return cast("FilteringBoundLogger", structlog.get_logger(**context))


class _Stdout:
    """Writes whole lines and outlives its reader: a log that nobody reads must not end a job."""

    def msg(self, line: str) -> None:
        out = sys.stdout
        try:
            _write(out, line)
        except BrokenPipeError:
            # As the documentation of `signal` advises: the flush at exit would complain again.
            with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), out.fileno())
        except (OSError, ValueError):
            return  # full disk, closed file: there is nowhere left to say so

    debug = info = warning = error = critical = exception = log = msg


def _write(out: TextIO, line: str) -> None:
    try:
        out.write(f"{line}\n")
    except UnicodeEncodeError:
        out.write(line.encode("ascii", "backslashreplace").decode() + "\n")
    out.flush()


class _StandardLines(logging.StreamHandler[TextIO]):
    """Takes the standard library's records through the same processors.

    A StreamHandler, because FastStream looks for one on stdout before it adds its own.
    """

    def __init__(self, processors: list[Processor], level: int = logging.NOTSET) -> None:
        super().__init__(sys.stdout)
        self.setLevel(level)
        self._processors = processors
        self._stdout = _Stdout()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: Any = {"event": mask(record.getMessage()), "logger": record.name}
            if record.exc_info:
                fields["exc_info"] = record.exc_info
            for process in self._processors:
                fields = process(None, record.levelname.lower(), fields)
            self._stdout.msg(fields)
        except Exception:  # noqa: BLE001 - a record that cannot be rendered must not end what logged it
            self.handleError(record)


def _adopt_standard_logging(processors: list[Processor], least: int) -> None:
    root = logging.getLogger()
    root.handlers = [_StandardLines(processors)]
    root.setLevel(least)
    for name in _OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
        logger.setLevel(logging.NOTSET)  # the root's counts; uvicorn sets one of its own when it is made
    # At INFO it writes each statement with its values.
    logging.getLogger("sqlalchemy").setLevel(logging.WARNING)
    # At INFO a line for each request.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for name in _CHATTY:
        logger = logging.getLogger(name)
        logger.handlers = [_StandardLines(processors, max(least, logging.WARNING))]
        logger.propagate = False
    for name in _SILENT:
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = False


def _stamp(service: str) -> Processor:
    """Adds when, how grave and whose, in the order in which people read; and `event` after them."""

    def stamp(_logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
        level = "error" if method == "exception" else method
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        return {
            "timestamp": f"{now[:-6]}Z",
            "level": level,
            "event": fields.pop("event", None),
            "service": service,
            **fields,
        }

    return stamp


def _redact(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    for key, value in fields.items():
        if is_secret(key):
            fields[key] = REDACTED
        elif isinstance(value, str):
            if "@" in value:
                fields[key] = mask(value)
        elif isinstance(value, dict):
            fields[key] = _redacted_inside(cast("dict[object, object]", value))
    return fields


def _redacted_inside(inner: "Mapping[object, object]") -> dict[object, object]:
    return {
        key: REDACTED if is_secret(str(key)) else mask(value) if isinstance(value, str) else value
        for key, value in inner.items()
    }


def _structure_exception(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """`exc_info` as fields: type, message and stack of the exception, its causes within the stack."""
    given = fields.pop("exc_info", None)
    error = _exception(given) if given else None
    if error is not None:
        fields["exception"] = {
            "type": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
            "message": mask(str(error)),
            "stack": mask("".join(traceback.format_exception(error))),
        }
    return fields


def _exception(given: object) -> BaseException | None:
    """What `exc_info` stands for: an exception, the triple of sys.exc_info, or True for the one in hand."""
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return cast("tuple[object, BaseException | None, object]", given)[1]
    return sys.exception()


def _render_json(_logger: WrappedLogger, _method: str, fields: EventDict) -> str:
    try:
        return _encode(fields)
    except (TypeError, ValueError):  # a key that is no string, a cycle
        return _encode({key: str(value) for key, value in fields.items()})


# ASCII only: no terminal, collector or lone surrogate can trip over it. `str` for UUIDs, instants, durations.
_encode: Final = json.JSONEncoder(separators=(",", ":"), default=str).encode


def _escape(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """Nothing in a value may end the line or move the cursor: that is how lines are forged."""
    for key, value in fields.items():
        if isinstance(value, str) and not value.isprintable():
            fields[key] = _Escaped(value.translate(_CONTROLS))
    return fields


class _Escaped(str):
    """Escaped once: the renderer shows the repr of values with spaces, which would double each backslash."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{self}'"


def _text_renderer() -> Processor:
    return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=_write_stack)


def _write_stack(out: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    """The stack, indented: an exception's words, which may span lines, never stand where a line begins."""
    stack = mask("".join(traceback.format_exception(*exc_info))).rstrip()
    out.write("\n" + "\n".join(f"    {line.translate(_CONTROLS)}" for line in stack.splitlines()))
