"""What becomes of an event, the same on Redis Streams and on NATS JetStream."""

import asyncio
from datetime import timedelta

import pytest

from shared.contracts import STRUCTURED_TYPE, Envelope, encode_structured, wrap
from shared.jobs import Handlers, Job, JobRecord, Reject, Retry, RetryAfter, Snooze
from tests.conformance.conftest import Answered, Asked, Lab, MakeLab, all_of
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


async def test_events_that_were_published_before_the_first_start_are_not_lost(lab: Lab) -> None:
    """On JetStream the consumer must exist: a service that ran once, or `trunkline migrate`, makes it."""
    handlers, seen = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        seen.append(event.n)

    async with lab.service(handlers):
        pass
    published = await lab.publish(*(Asked(n=n) for n in range(50)))

    async with lab.service(handlers):
        await all_of(lab, "succeeded", "lab.answer", published)

    assert sorted(seen) == list(range(50))


async def test_the_same_event_published_again_runs_once(lab: Lab) -> None:
    handlers, seen = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        seen.append(event.n)

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        await lab.reaches("succeeded", "lab.answer", asked)
        document = encode_structured(asked)
        for _ in range(3):
            if lab.bus_name == "redis":
                await lab.publish_raw(document, {"content-type": STRUCTURED_TYPE})
            else:
                await lab.publish_raw(document, {"Content-Type": STRUCTURED_TYPE})
        (last,) = await lab.publish(Asked(n=2))
        await lab.reaches("succeeded", "lab.answer", last)
        await lab.settles("lab.answer")

    assert seen == [1, 2]


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


async def test_no_more_jobs_run_at_a_time_than_the_handler_allows(lab: Lab) -> None:
    handlers, running, most = Handlers("lab"), set[int](), 0

    @handlers.on(Asked, concurrency=3)
    async def answer(event: Asked) -> None:
        nonlocal most
        running.add(event.n)
        most = max(most, len(running))
        await asyncio.sleep(0.01)
        running.remove(event.n)

    async with lab.service(handlers):
        published = await lab.publish(*(Asked(n=n) for n in range(30)))
        await all_of(lab, "succeeded", "lab.answer", published)

    assert most == 3


async def test_stopping_lets_running_jobs_end(lab: Lab) -> None:
    handlers, started = Handlers("lab"), asyncio.Event()

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        started.set()
        await asyncio.sleep(0.3)
        return event.n

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=9))
        await asyncio.wait_for(started.wait(), timeout=5)
    job = await lab.job("lab.answer", asked.id)

    assert job is not None
    assert (job.state, job.attempt) == ("succeeded", 1)
    await lab.settles("lab.answer")


async def test_a_service_that_stopped_leaves_no_consumer_behind(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        await lab.reaches("succeeded", "lab.answer", asked)
        working = await lab.redis.xinfo_consumers("queue:{lab.answer}", "lab.answer")
    stopped = await lab.redis.xinfo_consumers("queue:{lab.answer}", "lab.answer")

    assert len(working) == 1
    assert stopped == []


async def test_what_does_not_end_within_the_grace_period_is_handed_back_without_an_attempt(
    make_lab: MakeLab,
) -> None:
    lab = await make_lab(grace=timedelta(milliseconds=100), lease=timedelta(minutes=5))
    handlers, runs, started = Handlers("lab"), list[int](), asyncio.Event()

    @handlers.on(Asked, retry=Retry(attempts=1))
    async def answer(event: Asked, job: Job) -> int:
        runs.append(job.attempt)
        started.set()
        if len(runs) == 1:
            await asyncio.sleep(60)
        return event.n

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=9))
        await asyncio.wait_for(started.wait(), timeout=5)
    handed_back = await lab.job("lab.answer", asked.id)
    async with lab.service(handlers):
        # Far sooner than the lease: it was handed back, nobody had to notice a death.
        job = await lab.reaches("succeeded", "lab.answer", asked)
        await lab.settles("lab.answer")

    assert handed_back is not None
    assert (handed_back.state, handed_back.attempt) == ("queued", 0)
    assert (runs, job.attempt, job.attempts) == ([1, 1], 1, [])


@pytest.mark.parametrize("bytes_", [b"\x00\xff garbage", b"{not json", b"", b'{"n": "one"}', b"[]"])
async def test_bytes_that_are_no_event_become_a_dead_letter_and_hold_nobody_up(
    lab: Lab, bytes_: bytes
) -> None:
    handlers, seen = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def answer(event: Asked) -> None:
        seen.append(event.n)

    async with lab.service(handlers):
        await lab.publish_raw(bytes_)
        (good,) = await lab.publish(Asked(n=1))
        await lab.reaches("succeeded", "lab.answer", good, within=2)
        letters = await until(lambda: lab.dead_letters("lab.answer"))
        await lab.settles("lab.answer")

    assert [letter.reason for letter in letters] == ["invalid"]
    assert seen == [1]


async def test_broken_attributes_become_a_dead_letter_with_the_bytes_that_came(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> int:
        return event.n

    async with lab.service(handlers):
        await lab.publish_raw(b'{"n": 1}', {"ce-id": "1", "ce-time": "yesterday"})
        (letter,) = await until(lambda: lab.dead_letters("lab.answer"))
        await lab.settles("lab.answer")

    assert letter.error is not None
    assert "time" in letter.error["message"]
    assert letter.raw


async def test_a_structured_cloudevent_of_another_system_is_understood(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked, job: Job) -> list[object]:
        return [event.n, job.envelope.source]

    async with lab.service(handlers):
        foreign = wrap(Asked(n=3), source="/elsewhere")
        header = "content-type" if lab.bus_name == "redis" else "Content-Type"
        await lab.publish_raw(encode_structured(foreign), {header: STRUCTURED_TYPE})
        job = await lab.reaches("succeeded", "lab.answer", foreign)

    assert job.to_api()["result"] == [3, "/elsewhere"]


async def test_an_event_in_binary_mode_of_another_system_is_understood(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked, job: Job) -> list[object]:
        return [event.n, job.envelope.source, job.envelope.attributes["subject"]]

    event_id = "5f0c9d63-0d6f-4b7f-8c11-8a5c0f3e6d0b"
    attributes = {
        "ce-id": event_id,
        "ce-source": "/elsewhere",
        "ce-type": "lab.asked",
        "ce-specversion": "1.0",
    }
    # NATS headers are percent-encoded, fields of Redis are plain UTF-8.
    subject = "50 %" if lab.bus_name == "redis" else "50%20%25"
    async with lab.service(handlers):
        await lab.publish_raw(b'{"n": 4}', {**attributes, "ce-subject": subject})

        async def answered() -> JobRecord | None:
            job = await lab.job("lab.answer", event_id)
            return job if job is not None and job.state == "succeeded" else None

        job = await until(answered)

    assert job.to_api()["result"] == [4, "/elsewhere", "50 %"]


async def test_a_plain_message_is_enough_and_its_attributes_are_filled_in(lab: Lab) -> None:
    handlers, seen = Handlers("lab"), list[Envelope]()

    @handlers.on(Asked)
    async def answer(event: Asked, job: Job) -> int:
        seen.append(job.envelope)
        return event.n

    async with lab.service(handlers):
        await lab.publish_raw(b'{"n": 5}')

        async def taken() -> bool:
            return bool(seen)

        await until(taken)

    (envelope,) = seen
    assert envelope.type == "lab.asked"
    assert envelope.source == (
        "redis:events:lab.asked" if lab.bus_name == "redis" else "nats:events.lab.asked"
    )
    assert {"time", "originalid"} <= envelope.attributes.keys()
