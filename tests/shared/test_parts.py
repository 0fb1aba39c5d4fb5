"""Small parts: routes, retry policies, settings, handlers, the coalescer."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus import Coalescer, Routes
from shared.contracts import EmailRequested, UserRegistered
from shared.errors import SettingsError
from shared.jobs import Handlers, Job, Retry
from shared.settings import Settings

BOTH = "redis+nats"


def test_the_first_pattern_that_fits_routes_an_event() -> None:
    routes = Routes.parse(
        "user.*,file.*=redis; order.*=nats; order.created=redis; *=redis+nats", "redis+nats"
    )

    assert routes.buses_for("user.registered") == ("redis",)
    assert routes.buses_for("order.created") == ("nats",)
    assert routes.buses_for("cron.cleanup") == ("redis", "nats")


def test_a_route_to_a_bus_that_is_off_leads_to_the_one_that_is_on() -> None:
    routes = Routes.parse("user.*=redis;order.*=nats", "nats")

    assert routes.buses_for("user.registered") == routes.buses_for("order.created") == ("nats",)
    assert routes.buses_for("anything.else") == ("nats",)


@pytest.mark.parametrize(
    ("routes", "buses"),
    [("user.*", "redis"), ("=redis", "redis"), ("user.*=kafka", "redis"), ("", "rediss"), ("", "")],
)
def test_a_route_that_is_none_is_refused_with_its_setting(routes: str, buses: str) -> None:
    with pytest.raises(SettingsError, match=r"^BUS"):
        Routes.parse(routes, buses)


@given(attempt=st.integers(1, 200))
def test_a_wait_stays_between_nothing_and_the_cap(attempt: int) -> None:
    retry = Retry(attempts=201, base=timedelta(seconds=1), cap=timedelta(minutes=5))

    wait = retry.delay(attempt)

    assert wait is not None
    assert timedelta(0) <= wait <= timedelta(minutes=5)


def test_waits_double_until_the_cap_and_end_with_the_attempts() -> None:
    retry = Retry(attempts=5, base=timedelta(seconds=2), cap=timedelta(seconds=10), jitter=False)

    waits = [retry.delay(attempt) for attempt in (1, 2, 3, 4, 5)]

    assert waits == [timedelta(seconds=seconds) for seconds in (2, 4, 8, 10)] + [None]


def test_a_schedule_is_kept_and_jitter_adds_a_tenth_at_most() -> None:
    waits = [timedelta(seconds=5), timedelta(minutes=5), timedelta(hours=2)]
    retry = Retry.scheduled(*waits)

    for attempt, wait in enumerate(waits, start=1):
        assert wait <= (retry.delay(attempt) or wait * 2) <= wait * 1.1
    assert retry.delay(4) is None
    with pytest.raises(ValueError, match="3 delays do not fit 5 attempts"):
        replace(retry, attempts=5)


def test_a_setting_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "redis_url"
    secret.write_text("redis://:hidden@somewhere:1\n")
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_URL_FILE", str(secret))

    settings = Settings.load()

    assert settings.redis_url.get_secret_value() == "redis://:hidden@somewhere:1"
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("LEASE", "soon"), ("LEASE", "-1"), ("LEASE", "0"), ("METRICS_PORT", "http"), ("LOG_LEVEL", "loud")],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=name):
        Settings.load()


def test_a_setting_and_its_file_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_URL", "nats://x")
    monkeypatch.setenv("NATS_URL_FILE", "/x")

    with pytest.raises(SettingsError, match="keep one"):
        Settings.load()


@pytest.mark.parametrize(("text", "seconds"), [("30", 30), ("0.5", 0.5), ("PT2M", 120)])
def test_a_duration_is_a_count_of_seconds_or_iso_8601(
    monkeypatch: pytest.MonkeyPatch, text: str, seconds: float
) -> None:
    monkeypatch.setenv("LEASE", text)

    assert Settings.load().lease == timedelta(seconds=seconds)


def test_a_handler_must_take_its_event_first() -> None:
    handlers = Handlers("lab")

    async def wrong(event: EmailRequested) -> None: ...

    with pytest.raises(ValueError, match="first parameter must be annotated UserRegistered"):
        handlers.on(UserRegistered)(wrong)


def test_a_handler_must_be_async() -> None:
    def wrong(event: UserRegistered) -> None: ...

    with pytest.raises(ValueError, match=r"lab\.wrong must be an async function"):
        Handlers("lab").on(UserRegistered)(wrong)  # pyright: ignore[reportArgumentType] - that is the mistake


def test_what_a_handler_asks_for_is_known_by_type() -> None:
    handlers = Handlers("lab")

    @handlers.on(UserRegistered)
    async def greet(event: UserRegistered, path: Path, job: Job) -> None: ...

    (handler,) = handlers
    assert (handler.name, handler.event_type) == ("lab.greet", "user.registered")
    assert (dict(handler.wants), handler.job_parameter) == ({"path": Path}, "job")


async def test_items_that_are_there_together_go_out_as_one_call() -> None:
    calls: list[list[int]] = []

    async def call(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        await asyncio.sleep(0)
        return [item * 2 for item in items]

    twice = Coalescer(call, most=100)
    answers = await asyncio.gather(*(twice(n) for n in range(10)))

    assert answers == [n * 2 for n in range(10)]
    assert calls == [list(range(10))]


async def test_a_failing_call_fails_its_own_batch_only() -> None:
    async def call(items: Sequence[int]) -> list[int]:
        if 0 in items:
            raise RuntimeError("zero")
        return list(items)

    same = Coalescer(call, most=2)
    answers = await asyncio.gather(*(same(n) for n in range(4)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [RuntimeError, RuntimeError, int, int]
