"""Lines as they stand on stdout, ours and those of libraries."""

import asyncio
import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.contextvars import bound_contextvars

from shared.telemetry import configure_logging, get_logger

pytestmark = pytest.mark.usefixtures("logging_restored")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_is_one_json_object_with_when_how_grave_what_and_whose(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("email", level="info", format="json")

    with bound_contextvars(trace_id="4bf9"):
        get_logger(handler="send_welcome").info("job.finished", attempt=2, took_s=0.31, job_id=UUID(int=7))

    (line,) = lines(capsys)
    assert list(line)[:4] == ["timestamp", "level", "event", "service"]
    written_at = datetime.fromisoformat(line.pop("timestamp"))
    assert written_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - written_at) < timedelta(minutes=1)
    assert line == {
        "level": "info",
        "event": "job.finished",
        "service": "email",
        "handler": "send_welcome",
        "attempt": 2,
        "took_s": 0.31,
        "job_id": "00000000-0000-0000-0000-000000000007",
        "trace_id": "4bf9",
    }


@pytest.mark.parametrize(
    "key",
    [
        "authorization",
        "password",
        "smtp_password",
        "Token",
        "x-api-key",
        "body",
        "to",
        "subject",
        "data",
        "email",
    ],
)
def test_secrets_bodies_and_addresses_are_redacted_by_their_key_one_level_down_too(
    capsys: pytest.CaptureFixture[str], key: str
) -> None:
    configure_logging("email", level="info", format="json")

    get_logger().info("mail.handed_over", **{key: "hunter2", "inner": {key: "hunter2", "relay": "mx1"}})

    (line,) = lines(capsys)
    assert line[key] == "[redacted]"
    assert line["inner"] == {key: "[redacted]", "relay": "mx1"}


def test_an_address_or_a_password_within_words_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("email", level="info", format="json")

    get_logger().warning("mail.refused", reason="550 <ada@example.org> unknown")
    logging.getLogger("nats.aio").warning("lost %s", "nats://user:hunter2@broker:4222")

    refused, lost = lines(capsys)
    assert refused["reason"] == "550 <[redacted]> unknown"
    assert lost["event"] == "lost nats://user:[redacted]:4222"


def test_an_exception_is_its_type_its_message_and_its_stack(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("email", level="info", format="json")

    try:
        int("ada@example.org")
    except ValueError:
        get_logger().exception("job.failed")

    (line,) = lines(capsys)
    assert line["level"] == "error"
    assert line["exception"]["type"] == "ValueError"
    assert line["exception"]["message"] == "invalid literal for int() with base 10: '[redacted]'"
    assert line["exception"]["stack"].startswith("Traceback")
    assert line["exception"]["stack"].endswith("'[redacted]'\n")
    assert "exc_info" not in line


def test_a_level_below_the_chosen_one_is_not_written_and_an_unknown_one_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("email", level="WARNING", format="json")

    get_logger().info("job.finished")
    logging.getLogger("sqlalchemy").info("pool")
    get_logger().warning("job.retried")

    assert [line["event"] for line in lines(capsys)] == ["job.retried"]
    with pytest.raises(ValueError, match="LOG_LEVEL is loud"):
        configure_logging("email", level="loud", format="json")


def test_libraries_write_the_same_lines_and_their_chatter_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("email", level="info", format="json")

    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    logging.getLogger("uvicorn.access").info("GET /")
    broker = logging.getLogger("faststream.access.redis")
    broker.setLevel(logging.INFO)  # as FastStream does at its start
    broker.info("Received")
    broker.warning("slow")

    started, slow = lines(capsys)
    assert (started["event"], started["level"]) == ("Started server process [7]", "info")
    assert (started["logger"], started["service"]) == ("uvicorn.error", "email")
    assert (slow["event"], slow["logger"]) == ("slow", "faststream.access.redis")


async def test_a_broker_of_faststream_that_starts_later_keeps_to_our_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from faststream.redis import RedisBroker, TestRedisBroker  # noqa: PLC0415 - it must find logging configured

    configure_logging("email", level="info", format="json")
    broker = RedisBroker()

    @broker.subscriber("events")
    async def note(message: str) -> None:
        assert message

    async with TestRedisBroker(broker) as test_broker:
        await test_broker.publish("hello", "events")
    await asyncio.sleep(0)

    assert lines(capsys) == []


def test_text_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("email", level="info", format="text")

    get_logger().warning("relay.answered", answer="busy\r\n2026-01-01 [info] forged\x1b[2J\u2028", attempt=1)
    get_logger().error("job.failed", exc_info=LookupError("first\nforged"))

    written = capsys.readouterr().out.splitlines()
    assert "busy\\r\\n2026-01-01 [info] forged\\x1b[2J\\u2028" in written[0]
    assert not any(line.startswith(("2026-01-01 [info]", "forged")) for line in written)
    assert "    forged" in written


def test_what_json_cannot_hold_is_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("email", level="info", format="json")
    circle: dict[str, Any] = {}
    circle["self"] = circle

    get_logger().info("odd", circle=circle, lone="\ud800", instant=datetime(2026, 1, 1, tzinfo=UTC))

    (line,) = lines(capsys)
    assert line["instant"].startswith("2026-01-01")
    assert line["lone"] == "\ud800"


def test_a_reader_that_has_left_ends_neither_the_service_nor_its_exit() -> None:
    service = """
from shared.telemetry import configure_logging, get_logger
import sys
configure_logging("email", level="info", format="json")
for _ in range(20_000):
    get_logger().info("job.finished")
sys.exit(7)
"""

    with subprocess.Popen(
        [sys.executable, "-c", service], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()

    assert (process.returncode, complaint) == (7, "")


def test_statements_and_their_values_are_not_logged() -> None:
    configure_logging("lab", level="info", format="json")

    assert not logging.getLogger("sqlalchemy.engine").isEnabledFor(logging.INFO)
