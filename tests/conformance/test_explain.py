"""Why a job does not run, as asked of a living system: the same on Redis Streams and on JetStream."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.history.jobs import Jobs
from gateway.ledger.ledger import Ledger
from gateway.ledger.relay import Relay
from gateway.operations.backlogs import Backlogs
from gateway.operations.explainer import Explainer
from gateway.operations.explanation import Cause, Code
from shared.bus.jetstream import NatsConnection
from shared.bus.redis_streams import Position
from shared.clock import rfc3339
from shared.contracts import DELIVER_AT, Envelope, wrap
from shared.db import connect
from shared.jobs import HandlerControl, HandlerReader, Handlers, JobControl, JobReader, Registry, Retry
from shared.settings import Secret
from tests.conformance.conftest import Asked, Lab, MakeLab
from tests.until import until

ANSWER = "lab.answer"


@asynccontextmanager
async def explaining(lab: Lab, database_url: str) -> AsyncGenerator[tuple[Explainer, Ledger]]:
    """What the gateway would answer. Its relay is not started: what is accepted stays unpublished."""
    engine = connect(Secret(database_url), service="gateway")
    nats = NatsConnection(lab.settings.nats_url, name="explain")
    await nats.open()
    registry, reader = Registry(lab.redis), JobReader(lab.redis)
    relay = Relay(engine, lab.bus, backlog=1, sweep_every=timedelta(days=1), flush_limit=timedelta(seconds=1))
    async with Ledger(engine, hand_over=lambda _: None) as ledger:
        yield (
            Explainer(
                jobs=Jobs(registry, reader, engine),
                reader=reader,
                registry=registry,
                handlers=HandlerReader(lab.redis),
                ledger=ledger,
                relay=relay,
                backlogs=Backlogs(lab.redis, nats),
                position=Position(lab.redis),
            ),
            ledger,
        )
    await nats.close()
    await engine.dispose()


@pytest.fixture
async def explained(lab: Lab, database_url: str) -> AsyncGenerator[tuple[Explainer, Ledger]]:
    async with explaining(lab, database_url) as both:
        yield both


async def cause_of(explainer: Explainer, envelope: Envelope) -> Cause:
    explanation = await explainer.explain(f"{ANSWER}:{envelope.id}")
    assert explanation is not None
    return explanation[1][0]


async def comes_to(explainer: Explainer, envelope: Envelope, code: Code) -> Cause:
    async def there() -> Cause | None:
        cause = await cause_of(explainer, envelope)
        return cause if cause.code is code else None

    return await until(there, within=20, what=code)


async def accepted(lab: Lab, ledger: Ledger, count: int) -> list[Envelope]:
    """Events as the gateway has them when its relay has published them."""
    envelopes = [wrap(Asked(n=n), source="/lab") for n in range(count)]
    await ledger.accept(envelopes)
    await lab.bus.publish(envelopes)
    async with ledger.transaction() as transaction:
        await transaction.connection.exec_driver_sql("UPDATE gateway.events SET published_at = now()")
    return envelopes


def quick() -> Handlers:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    return handlers


async def change(lab: Lab, **changes: Any) -> None:
    await HandlerControl(lab.redis).change(ANSWER, changes)


Both = tuple[Explainer, Ledger]


async def test_from_the_ledger_to_the_end(lab: Lab, explained: Both) -> None:
    explainer, ledger = explained
    async with lab.service(quick()):
        pass
    (unpublished,) = envelopes = [wrap(Asked(n=1), source="/lab")]
    await ledger.accept(envelopes)

    committed = await cause_of(explainer, unpublished)
    (first, *_, fourth) = await accepted(lab, ledger, 4)
    no_worker = await explainer.explain(f"{ANSWER}:{fourth.id}")
    async with lab.service(quick()):
        await lab.reaches("succeeded", ANSWER, fourth)
        finished = await cause_of(explainer, first)

    assert (committed.code, committed.facts["bus_is_away"]) == (Code.NOT_PUBLISHED, False)
    assert no_worker is not None
    assert [cause.code for cause in no_worker[1]] == [Code.NO_WORKER, Code.BEHIND]
    assert no_worker[1][0].facts["seen_at"] is not None
    assert no_worker[1][1].facts == {"before": 3, "is_exact": lab.bus_name == "redis"}
    assert (finished.code, finished.facts["state"]) == (Code.FINISHED, "succeeded")


async def test_a_paused_handler(lab: Lab, explained: Both) -> None:
    explainer, ledger = explained
    await change(lab, paused=True, note="moving")
    async with lab.service(quick()):
        (waiting,) = await accepted(lab, ledger, 1)
        paused = await cause_of(explainer, waiting)
        await change(lab, paused=False)
        await comes_to(explainer, waiting, Code.FINISHED)

    assert (paused.code, paused.facts["note"]) == (Code.PAUSED, "moving")
    assert paused.facts["since"] is not None


async def test_a_full_cap_a_full_worker_and_the_one_that_runs(lab: Lab, explained: Both) -> None:
    explainer, ledger = explained
    handlers, may_end = Handlers("lab"), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        await may_end.wait()
        return event.n

    await change(lab, concurrency=1, worker_concurrency=1)
    async with lab.service(handlers):
        (first,) = await accepted(lab, ledger, 1)
        running = await comes_to(explainer, first, Code.RUNNING)
        (second,) = await accepted(lab, ledger, 1)
        full = await comes_to(explainer, second, Code.CONCURRENCY_FULL)
        await change(lab, concurrency=None)
        await JobControl(lab.redis, keep=timedelta(hours=1)).cancel(ANSWER, second.id, event_type="lab.asked")
        (third,) = await accepted(lab, ledger, 1)
        busy = await comes_to(explainer, third, Code.WORKERS_BUSY)
        may_end.set()
        await lab.reaches("succeeded", ANSWER, third)
        cancelled = await cause_of(explainer, second)

    assert running.facts["attempt"] == 1
    assert (full.facts["running"], full.facts["most"]) == (1, 1)
    assert (busy.facts["running"], busy.facts["workers"]) == (1, 1)
    assert cancelled.code is Code.CANCELLED


async def test_a_rate_tells_when_the_next_may_start(lab: Lab, explained: Both) -> None:
    explainer, ledger = explained
    await change(lab, rate=0.01)
    async with lab.service(quick()):
        (first,) = await accepted(lab, ledger, 1)
        await lab.reaches("succeeded", ANSWER, first)
        (second,) = await accepted(lab, ledger, 1)
        limited = await comes_to(explainer, second, Code.RATE_LIMITED)

    started = await lab.job(ANSWER, first.id)
    assert started is not None
    assert started.started_at is not None
    assert abs(limited.facts["until"] - started.started_at - timedelta(seconds=100)) < timedelta(seconds=1)


async def test_a_retry_and_a_delay_tell_until_when(lab: Lab, explained: Both) -> None:
    explainer, _ = explained
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=Retry(base=timedelta(hours=1), cap=timedelta(hours=1), jitter=False))
    async def answer(event: Asked) -> int:
        raise RuntimeError(f"{event.n} is too much")

    later = wrap(
        Asked(n=2),
        source="/lab",
        extensions={DELIVER_AT: rfc3339(datetime.now(UTC) + timedelta(hours=2))},
    )
    async with lab.service(handlers):
        (failing,) = await lab.publish(Asked(n=1))
        await lab.bus.publish([later])
        await lab.reaches("retrying", ANSWER, failing)
        await lab.reaches("queued", ANSWER, later)
        waiting, delayed = await cause_of(explainer, failing), await cause_of(explainer, later)

    assert (waiting.code, delayed.code) == (Code.WAITING_FOR_RETRY, Code.DELAYED)
    assert waiting.facts["error"] == {"type": "RuntimeError", "message": "1 is too much"}
    assert delayed.facts["until"] > waiting.facts["until"] > datetime.now(UTC)


async def test_a_worker_that_is_not_heard_of(make_lab: MakeLab, database_url: str) -> None:
    lab = await make_lab(lease=timedelta(minutes=5))
    handlers, may_end = Handlers("lab"), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        await may_end.wait()
        return event.n

    async with explaining(lab, database_url) as (explainer, _), lab.service(handlers):
        (orphan,) = await lab.publish(Asked(n=1))
        running = await lab.reaches("running", ANSWER, orphan)
        await Registry(lab.redis).leave(running.worker or "")
        silent = await cause_of(explainer, orphan)
        may_end.set()

    assert (silent.code, silent.facts["worker"]) == (Code.WORKER_SILENT, running.worker)


async def test_a_message_that_no_bus_has_any_more(lab: Lab, explained: Both) -> None:
    explainer, ledger = explained
    async with lab.service(quick()):
        envelopes = [wrap(Asked(n=1), source="/lab")]
        await ledger.accept(envelopes)
        async with ledger.transaction() as transaction:
            await transaction.connection.exec_driver_sql("UPDATE gateway.events SET published_at = now()")
        gone = await cause_of(explainer, envelopes[0])

    assert gone.code is Code.MESSAGE_GONE


async def test_a_job_that_nobody_knows_has_no_cause(explained: Both) -> None:
    explainer, _ = explained

    assert await explainer.explain(f"{ANSWER}:nothing") is None
