"""What the mailer does with a relay that takes, refuses, hangs up or says nothing."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from opentelemetry.util.types import AttributeValue

from email_service.relay import (
    DeliveryUnknown,
    Limits,
    MailboxUnknown,
    MailRefused,
    RelayAddress,
    RelayBusy,
    RelayRefusesUs,
    RelayUnavailable,
)
from email_service.smtp import Mailer
from shared.telemetry import Span, Tracing
from tests.email_service.conftest import LIMITS, a_mail
from tests.email_service.scripted_relay import (
    CONTENT,
    Gate,
    ScriptedRelay,
    greeting,
    hang_up,
    say_goodbye,
    scripted_relay,
    take_and_hang_up,
    want_content_and_hang_up,
)
from tests.until import until

NO_TLS_NEEDED = pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning")  # it stays on this machine


def mailer_of(port: int, limits: Limits = LIMITS, login: str = "") -> Mailer:
    return Mailer(RelayAddress.parse(f"smtp://{login}127.0.0.1:{port}"), tracing=Tracing(), limits=limits)


async def test_many_mails_one_after_another_need_one_connection(relay: ScriptedRelay, mailer: Mailer) -> None:
    ids = [await mailer.send(a_mail()) for _ in range(10)]

    assert relay.connections == 1
    assert len(relay.mails) == 10
    assert ids[0] == "Q0001"


async def test_mails_side_by_side_use_no_more_connections_than_allowed(
    relay: ScriptedRelay, mailer: Mailer
) -> None:
    await asyncio.gather(*(mailer.send(a_mail()) for _ in range(20)))

    assert len(relay.mails) == 20
    assert relay.connections == LIMITS.connections


async def test_a_connection_that_the_relay_closed_is_replaced(relay: ScriptedRelay, mailer: Mailer) -> None:
    await mailer.send(a_mail())
    relay.hang_up_on_all()

    await mailer.send(a_mail())

    assert (len(relay.mails), relay.connections) == (2, 2)


async def test_a_used_connection_that_says_goodbye_is_replaced_within_the_same_send(
    relay: ScriptedRelay, mailer: Mailer
) -> None:
    await mailer.send(a_mail())
    relay.answer("MAIL", say_goodbye)

    await mailer.send(a_mail())

    assert (len(relay.mails), relay.connections) == (2, 2)


async def test_a_used_connection_that_breaks_off_at_data_is_replaced_since_nothing_was_handed_over(
    relay: ScriptedRelay, mailer: Mailer
) -> None:
    await mailer.send(a_mail())
    relay.answer("DATA", hang_up)

    await mailer.send(a_mail())

    assert (len(relay.mails), relay.connections) == (2, 2)


async def test_a_fresh_connection_that_breaks_off_is_not_tried_again(
    relay: ScriptedRelay, mailer: Mailer
) -> None:
    relay.answer("RCPT", hang_up)

    with pytest.raises(RelayUnavailable, match="broke off at RCPT"):
        await mailer.send(a_mail())

    assert relay.connections == 1


async def test_an_idle_connection_is_closed_with_a_farewell(relay: ScriptedRelay) -> None:
    limits = replace(LIMITS, idle=timedelta(milliseconds=20))
    async with mailer_of(relay.port, limits) as mailer:
        await mailer.send(a_mail())

        await until(lambda: _true(relay.quits == 1 and not relay.open), within=2)


async def test_closing_the_mailer_leaves_no_connection(relay: ScriptedRelay) -> None:
    async with mailer_of(relay.port) as mailer:
        await asyncio.gather(mailer.send(a_mail()), mailer.send(a_mail()))

    await until(lambda: _true(relay.quits == 2 and not relay.open), within=2)


async def test_a_connection_is_of_use_after_a_refused_recipient(relay: ScriptedRelay, mailer: Mailer) -> None:
    relay.answer("RCPT", "550 5.1.1 no such mailbox")

    with pytest.raises(MailboxUnknown, match=r"550 5\.1\.1 no such mailbox"):
        await mailer.send(a_mail(to="nobody@example.com"))
    await mailer.send(a_mail())

    assert relay.connections == 1
    assert relay.recipients == [["ada@example.com"]]


async def test_a_temporary_refusal_is_busy_and_carries_the_wait_that_it_names(
    relay: ScriptedRelay, mailer: Mailer
) -> None:
    relay.answer("RCPT", "450 4.2.0 greylisted, try again in 300 seconds", "451 4.3.2 later, please")

    with pytest.raises(RelayBusy) as named:
        await mailer.send(a_mail())
    with pytest.raises(RelayBusy) as unnamed:
        await mailer.send(a_mail())

    assert named.value.retry_after == timedelta(seconds=300)
    assert unnamed.value.retry_after is None


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_a_relay_that_shuts_down_is_busy(relay: ScriptedRelay, mailer: Mailer, command: str) -> None:
    relay.answer(command, say_goodbye)

    with pytest.raises(RelayBusy, match="421"):
        await mailer.send(a_mail())

    await mailer.send(a_mail())
    assert len(relay.mails) == 1


async def test_a_refused_content_is_a_refused_mail(relay: ScriptedRelay, mailer: Mailer) -> None:
    relay.answer(CONTENT, "554 5.7.1 this looks like spam\x1b[31m")

    with pytest.raises(MailRefused) as refused:
        await mailer.send(a_mail())

    assert refused.value.line == "554 5.7.1 this looks like spam [31m"


async def test_a_refused_sender_is_no_fault_of_the_mail(relay: ScriptedRelay, mailer: Mailer) -> None:
    relay.answer("MAIL", "550 5.7.1 you may not send as this")

    with pytest.raises(RelayRefusesUs):
        await mailer.send(a_mail())


async def test_a_mail_that_is_too_big_is_refused(relay: ScriptedRelay, mailer: Mailer) -> None:
    with pytest.raises(MailRefused, match="552"):
        await mailer.send(a_mail(text="y" * 3_000_000))

    assert relay.mails == []


async def test_a_relay_that_hangs_up_before_the_final_dot_has_no_mail(
    relay: ScriptedRelay, mailer: Mailer
) -> None:
    relay.answer("DATA", want_content_and_hang_up)

    with pytest.raises(RelayUnavailable):
        await mailer.send(a_mail())


async def test_a_relay_that_hangs_up_after_the_final_dot_leaves_the_outcome_unknown(
    relay: ScriptedRelay, mailer: Mailer
) -> None:
    relay.answer(CONTENT, take_and_hang_up)

    with pytest.raises(DeliveryUnknown):
        await mailer.send(a_mail())

    assert len(relay.mails) == 1


async def test_a_relay_that_never_answers_the_final_dot_leaves_the_outcome_unknown(
    relay: ScriptedRelay,
) -> None:
    relay.answer(CONTENT, Gate("250 much too late"))

    async with mailer_of(relay.port, replace(LIMITS, answer=timedelta(milliseconds=50))) as mailer:
        with pytest.raises(DeliveryUnknown):
            await mailer.send(a_mail())

        # Else the late answer would be taken for that to another mail.
        await until(lambda: _true(not relay.open), within=2)


async def test_a_relay_that_is_slow_with_a_command_is_unavailable(relay: ScriptedRelay) -> None:
    relay.answer("RCPT", Gate("250 much too late"))

    async with mailer_of(relay.port, replace(LIMITS, command=timedelta(milliseconds=50))) as mailer:
        with pytest.raises(RelayUnavailable):
            await mailer.send(a_mail())


async def test_slow_commands_together_have_a_limit_too(relay: ScriptedRelay) -> None:
    relay.answer("RCPT", Gate("250 much too late"))

    async with mailer_of(relay.port, replace(LIMITS, offer=timedelta(milliseconds=50))) as mailer:
        with pytest.raises(RelayUnavailable, match=r"within 0\.05 s"):
            await mailer.send(a_mail())


async def test_when_each_connection_is_in_use_for_long_the_mail_is_postponed(relay: ScriptedRelay) -> None:
    slow = Gate("250 ok")
    relay.answer(CONTENT, slow)

    limits = replace(LIMITS, connections=1, offer=timedelta(milliseconds=50))
    async with mailer_of(relay.port, limits) as mailer:
        first = asyncio.create_task(mailer.send(a_mail()))
        await slow.reached.wait()
        with pytest.raises(RelayBusy) as busy:
            await mailer.send(a_mail())
        slow.opened.set()
        await first

    assert busy.value.retry_after == timedelta(seconds=5)


async def test_a_cancelled_send_keeps_neither_its_connection_nor_its_place(relay: ScriptedRelay) -> None:
    slow = Gate("250 ok")
    relay.answer(CONTENT, slow)

    async with mailer_of(relay.port, replace(LIMITS, connections=1)) as mailer:
        first = asyncio.create_task(mailer.send(a_mail()))
        await slow.reached.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await until(lambda: _true(not relay.open), within=2)
        await mailer.send(a_mail())

    assert relay.connections == 2


async def test_an_unreachable_relay_is_left_alone_for_a_while(unused_tcp_port: int) -> None:
    async with mailer_of(unused_tcp_port) as mailer:
        with pytest.raises(RelayUnavailable):
            await mailer.send(a_mail())
        with pytest.raises(RelayBusy) as resting:
            await mailer.send(a_mail())

    assert resting.value.retry_after is not None


async def test_a_silent_relay_is_unavailable() -> None:
    async with greeting(b"") as port, mailer_of(port, _impatient()) as mailer:
        with pytest.raises(RelayUnavailable):
            await mailer.send(a_mail())


async def test_a_relay_that_greets_with_421_is_busy() -> None:
    async with greeting(b"421 too many connections\r\n") as port, mailer_of(port) as mailer:
        with pytest.raises(RelayBusy, match="too many connections"):
            await mailer.send(a_mail())


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400 Bad Request\r\n", b"\x16\x03\x01\r\n", b"2" * 100_000])
async def test_a_server_that_speaks_no_smtp_is_unavailable(nonsense: bytes) -> None:
    async with greeting(nonsense) as port, mailer_of(port, _impatient()) as mailer:
        with pytest.raises(RelayUnavailable):
            await mailer.send(a_mail())


@NO_TLS_NEEDED
async def test_with_the_right_password_the_relay_takes_mail() -> None:
    async with scripted_relay(password="p@ss:word") as relay:
        async with mailer_of(relay.port, login="ada:p%40ss%3Aword@") as mailer:
            await mailer.send(a_mail())

        assert len(relay.mails) == 1


@NO_TLS_NEEDED
async def test_a_wrong_password_is_no_bounce_of_the_mail() -> None:
    async with scripted_relay(password="right") as relay, mailer_of(relay.port, login="ada:wrong@") as mailer:
        with pytest.raises(RelayRefusesUs, match="535"):
            await mailer.send(a_mail())


async def test_a_relay_without_the_tls_that_we_ask_for_gets_no_mail(relay: ScriptedRelay) -> None:
    address = RelayAddress.parse(f"{relay.url}?starttls=true")
    async with Mailer(address, tracing=Tracing(), limits=LIMITS) as mailer:
        with pytest.raises(RelayRefusesUs, match="STARTTLS"):
            await mailer.send(a_mail())

    assert relay.commands == []


async def test_lines_that_begin_with_a_dot_arrive_as_they_were(relay: ScriptedRelay, mailer: Mailer) -> None:
    await mailer.send(a_mail(text=".\r\n..\r\n.x"))

    assert relay.raw[0].endswith(b"\r\n.\r\n..\r\n.x\r\n")


async def test_each_mail_is_a_client_span_that_names_the_relay(relay: ScriptedRelay) -> None:
    seen: list[tuple[str, object]] = []

    class Watched(Tracing):
        def client(self, name: str, attributes: Mapping[str, AttributeValue] | None = None) -> Span:
            seen.append((name, attributes))
            return super().client(name, attributes)

    async with Mailer(RelayAddress.parse(relay.url), tracing=Watched(), limits=LIMITS) as mailer:
        await mailer.send(a_mail())

    assert seen == [("SMTP send", {"server.address": "127.0.0.1", "server.port": relay.port})]


def _impatient() -> Limits:
    return replace(LIMITS, connect=timedelta(milliseconds=50), command=timedelta(milliseconds=50))


async def _true(value: bool) -> bool:  # noqa: FBT001 - what `until` waits for
    return value
