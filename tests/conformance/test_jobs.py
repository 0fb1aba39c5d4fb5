"""What a handler may do and what its job becomes, the same on Redis Streams and on JetStream."""

import asyncio
from datetime import timedelta

import pytest

from shared.contracts import encode_structured
from shared.jobs import Handlers, Job, Reject, Retry, RetryAfter, Snooze
from tests.conformance.conftest import Answered, Asked, Lab
from tests.until import until

QUICK = Retry(attempts=3, base=timedelta(milliseconds=20), jitter=False)


async def test_an_event_becomes_a_job_that_keeps_what_its_handler_returned(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> dict[str, int]:
        return {"twice": event.n * 2}

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=21))
        job = await lab.reaches("succeeded", "lab.answer", asked)

        assert job.to_api()["result"] == {"twice": 42}
        assert (job.attempt, job.error, job.attempts) == (1, None, [])
        assert job.queued_at is not None
        assert job.started_at is not None
        assert job.finished_at is not None
        assert job.started_at <= job.finished_at
        await lab.settles("lab.answer")


async def test_each_handler_of_an_event_has_its_own_job(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def first(event: Asked) -> str:
        return f"first {event.n}"

    @handlers.on(Asked, retry=Retry(attempts=1))
    async def second(event: Asked) -> str:
        raise RuntimeError(f"second {event.n}")

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=7))
        one = await lab.reaches("succeeded", "lab.first", asked)
        other = await lab.reaches("dead", "lab.second", asked)

    assert one.to_api()["result"] == "first 7"
    assert other.reason == "exhausted"


async def test_a_failing_job_is_retried_and_keeps_each_failed_attempt(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=QUICK)
    async def answer(event: Asked, job: Job) -> str:
        if job.attempt < 3:
            raise ValueError(f"not yet {event.n}")
        return "now"

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        job = await lab.reaches("succeeded", "lab.answer", asked)
        await lab.settles("lab.answer")

    assert job.attempt == 3
    assert [attempt["attempt"] for attempt in job.attempts] == [1, 2]
    assert job.attempts[0]["error"]["type"] == "ValueError"
    assert "not yet 1" in job.attempts[0]["error"]["stack"]


async def test_after_the_last_attempt_the_job_is_dead_with_its_event_and_stack(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=QUICK)
    async def answer(event: Asked) -> None:
        raise ValueError(f"never {event.n}")

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        job = await lab.reaches("dead", "lab.answer", asked)
        await lab.settles("lab.answer")

    assert (job.reason, job.attempt, len(job.attempts)) == ("exhausted", 3, 3)
    assert job.event == encode_structured(asked)
    assert [letter.id for letter in await lab.dead_letters("lab.answer")] == [job.id]


async def test_an_error_that_no_attempt_can_cure_is_not_retried(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=Retry(attempts=9, never=(KeyError,)))
    async def answer(event: Asked) -> None:
        raise KeyError(event.n)

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        job = await lab.reaches("dead", "lab.answer", asked)

    assert (job.reason, job.attempt) == ("non_retryable", 1)


async def test_a_rejected_job_is_dead_at_once_with_the_handlers_reason(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> Reject:
        return Reject(f"{event.n} is nothing for me")

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=4))
        job = await lab.reaches("dead", "lab.answer", asked)

    assert job.reason == "non_retryable"
    assert job.error is not None
    assert job.error["message"] == "4 is nothing for me"


async def test_a_snoozed_job_runs_again_and_costs_no_attempt(lab: Lab) -> None:
    handlers, runs = Handlers("lab"), list[int]()

    @handlers.on(Asked, retry=Retry(attempts=1))
    async def answer(event: Asked, job: Job) -> Snooze | None:
        runs.append(job.attempt * event.n)
        return Snooze(timedelta(milliseconds=30)) if len(runs) < 3 else None

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        job = await lab.reaches("succeeded", "lab.answer", asked)

    assert (runs, job.attempt) == ([1, 1, 1], 1)


async def test_the_wait_that_an_error_carries_wins_over_the_policy(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=Retry(attempts=2, base=timedelta(hours=1)))
    async def answer(event: Asked, job: Job) -> str:
        if job.attempt == 1:
            raise RetryAfter(f"busy with {event.n}", timedelta(milliseconds=50))
        return "done"

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        job = await lab.reaches("succeeded", "lab.answer", asked)

    assert job.attempt == 2


async def test_a_retry_waits_outside_the_worker_and_survives_its_restart(lab: Lab) -> None:
    handlers, answered = Handlers("lab"), asyncio.Event()

    @handlers.on(Asked, retry=Retry(attempts=2, base=timedelta(seconds=1), jitter=False))
    async def answer(event: Asked, job: Job) -> None:
        if job.attempt == 1:
            raise ValueError(event.n)
        answered.set()

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        waiting = await lab.reaches("retrying", "lab.answer", asked)
        assert waiting.due_at is not None
        await lab.settles("lab.answer")
    async with lab.service(handlers):
        await lab.reaches("succeeded", "lab.answer", asked)

    assert answered.is_set()


async def test_a_handler_past_its_time_limit_is_ended_and_retried(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=QUICK, time_limit=timedelta(milliseconds=100))
    async def answer(event: Asked, job: Job) -> str:
        if job.attempt == 1:
            await asyncio.sleep(60)
        return str(event.n)

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=5))
        job = await lab.reaches("succeeded", "lab.answer", asked)

    assert job.attempts[0]["error"]["type"] == "TimeLimitExceeded"


async def test_what_a_handler_returns_is_published_in_the_chain_of_its_cause(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> tuple[Answered, Answered]:
        return Answered(n=event.n), Answered(n=event.n + 1)

    @handlers.on(Answered)
    async def note(event: Answered, job: Job) -> dict[str, object]:
        return {"n": event.n, **job.envelope.attributes}

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        job = await lab.reaches("succeeded", "lab.answer", asked)

        async def noted() -> bool:
            notes = [await lab.job("lab.note", event["id"]) for event in job.caused]
            return all(note is not None and note.state == "succeeded" for note in notes)

        await until(noted)
        caused = [await lab.job("lab.note", event["id"]) for event in job.caused]

    assert [event["type"] for event in job.caused] == ["lab.answered", "lab.answered"]
    results = [note.to_api()["result"] for note in caused if note is not None]
    assert sorted(result["n"] for result in results) == [1, 2]
    assert {result["causationid"] for result in results} == {asked.id}
    assert {result["correlationid"] for result in results} == {asked.id}


async def test_progress_is_kept_while_a_job_runs(lab: Lab) -> None:
    handlers, go_on = Handlers("lab"), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked, job: Job) -> None:
        await job.progress(event.n, 4, "half way")
        await go_on.wait()

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=2))

        async def told() -> object:
            job = await lab.job("lab.answer", asked.id)
            return job and job.progress

        progress = await until(told)
        go_on.set()
        await lab.reaches("succeeded", "lab.answer", asked)

    assert progress == {"done": 2, "total": 4, "note": "half way"}


async def test_a_result_that_is_too_large_ends_the_job_with_a_word_what_to_do(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> str:
        return "x" * 70_000 * event.n

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        job = await lab.reaches("dead", "lab.answer", asked)

    assert job.error is not None
    assert "store it as a file" in job.error["message"]


@pytest.mark.parametrize("way", [asyncio.CancelledError, SystemExit])
async def test_a_handler_that_leaves_by_a_side_door_fails_and_takes_nobody_with_it(
    lab: Lab, way: type[BaseException]
) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked, retry=Retry(attempts=1))
    async def answer(event: Asked) -> int:
        if event.n == 1:
            raise way
        return event.n

    async with lab.service(handlers):
        leaving, staying = await lab.publish(Asked(n=1), Asked(n=2))
        dead = await lab.reaches("dead", "lab.answer", leaving)
        await lab.reaches("succeeded", "lab.answer", staying)
        await lab.settles("lab.answer")

    assert dead.error is not None
    assert (dead.error["type"], way.__name__ in dead.error["message"]) == ("HandlerGaveUp", True)
