"""Handlers in child processes: results, limits, deaths and cancellation, the same on both buses."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta

import psutil
import pytest

from shared.errors import SettingsError
from shared.jobs import Handlers, Job, JobControl
from tests.conformance import process_handlers as on_children
from tests.conformance.conftest import Answered, Asked, Lab, MakeLab, all_of
from tests.otlp_receiver import OtlpReceiver
from tests.until import until


def children() -> set[int]:
    """The child processes of this one that live."""
    return {child.pid for child in psutil.Process().children() if is_alive(child.pid)}


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def started() -> Callable[[], set[int]]:
    """What this test started: the servers were there before."""
    before = children()
    return lambda: children() - before


async def test_a_plain_function_runs_in_a_child_with_what_it_asks_for(lab: Lab) -> None:
    async with lab.service(on_children.plain):
        (first,) = await lab.publish(Asked(n=1))
        job = await lab.reaches("succeeded", "lab.work", first, within=30)
        one = job.to_api()["result"]
        (second,) = await lab.publish(Asked(n=2, what="print"))
        other = (await lab.reaches("succeeded", "lab.work", second, within=30)).to_api()["result"]
        await lab.settles("lab.work")

    assert one["n"] == 1
    assert one["pid"] == one["tool"] == other["pid"] == other["tool"], "one child, opened once"
    assert one["pid"] != psutil.Process().pid


async def test_an_async_function_runs_in_a_child_and_its_progress_comes_through(lab: Lab) -> None:
    async with lab.service(on_children.awaited):
        (asked,) = await lab.publish(Asked(n=60, what="sleep"))

        async def half() -> bool:
            job = await lab.job("lab.wait", asked.id)
            return job is not None and job.progress == {"done": 1, "total": 2, "note": "half"}

        await until(half, within=30)
        await cancel(lab, "lab.wait", asked.id)
        await lab.reaches("cancelled", "lab.wait", asked, within=30)
        (next_,) = await lab.publish(Asked(n=0))
        result = (await lab.reaches("succeeded", "lab.wait", next_, within=30)).to_api()["result"]

    assert result["pid"] == result["tool"]


async def test_the_last_step_of_a_plain_function_is_its_progress(lab: Lab) -> None:
    async with lab.service(on_children.plain):
        (asked,) = await lab.publish(Asked(n=50, what="step by step"))
        job = await lab.reaches("succeeded", "lab.work", asked, within=30)

    assert job.progress == {"done": 50, "total": 50, "note": "step 50"}


async def test_what_a_child_causes_is_published_once(lab: Lab) -> None:
    collectors, seen = Handlers("lab"), list[tuple[int, str]]()

    @collectors.on(Answered)
    async def collect(event: Answered, job: Job) -> None:
        seen.append((event.n, job.envelope.attributes["causationid"]))

    async with lab.service(collectors), lab.service(on_children.plain):
        (asked,) = await lab.publish(Asked(n=7, what="cause"))
        job = await lab.reaches("succeeded", "lab.work", asked, within=30)

        async def all_came() -> bool:
            return len(seen) >= 2

        await until(all_came)
        await lab.settles("lab.work")

    assert [event["type"] for event in job.caused] == ["lab.answered"] * 2
    assert sorted(seen) == [(7, asked.id), (8, asked.id)]


async def test_an_error_in_a_child_is_retried_by_policy_with_the_handlers_stack(lab: Lab) -> None:
    async with lab.service(on_children.plain):
        (asked,) = await lab.publish(Asked(n=7, what="fail"))
        job = await lab.reaches("dead", "lab.work", asked, within=30)

    assert (job.reason, job.attempt, len(job.attempts)) == ("exhausted", 2, 2)
    assert job.error is not None
    assert (job.error["type"], job.error["message"]) == ("LookupError", "nothing at 7")
    assert "in work" in job.error["stack"]
    assert "shared/jobs" not in job.error["stack"]


async def test_a_handler_that_exits_ends_its_job_and_neither_the_service_nor_others(lab: Lab) -> None:
    async with lab.service(on_children.plain):
        (exits,) = await lab.publish(Asked(n=3, what="exit"))
        others = await lab.publish(*(Asked(n=n) for n in range(5)))
        job = await lab.reaches("dead", "lab.work", exits, within=30)
        await all_of(lab, "succeeded", "lab.work", others)
        await lab.settles("lab.work")

    assert (job.reason, job.attempt) == ("exhausted", 2)
    assert job.error == {
        "type": "ProcessDied",
        "message": "the child process ended with exit code 3",
        "stack": "shared.jobs.outcomes.ProcessDied: the child process ended with exit code 3\n",
    }


async def test_a_child_that_writes_what_is_no_frame_is_killed(lab: Lab) -> None:
    async with lab.service(on_children.plain):
        (asked,) = await lab.publish(Asked(n=1, what="scribble"))
        job = await lab.reaches("dead", "lab.work", asked, within=30)

    assert job.error is not None
    assert job.error["type"] == "ProcessDied"
    assert "no frame" in job.error["message"]


@pytest.mark.parametrize("handler", ["lab.crunch", "lab.crunch_in_a_loop"])
@pytest.mark.parametrize("what", ["compute", "sleep"])
async def test_what_computes_or_blocks_is_interrupted_at_its_time_limit(
    lab: Lab, handler: str, what: str
) -> None:
    async with lab.service(on_children.limited):
        (asked,) = await lab.publish(Asked(n=60, what=what))
        job = await lab.reaches("dead", handler, asked, within=30)

    assert job.error is not None
    assert job.error["type"] == "TimeLimitExceeded"
    assert job.error["message"] == "the handler ran longer than its time limit of 1 s"


async def test_a_handler_may_clean_up_at_its_time_limit_and_succeed(lab: Lab) -> None:
    async with lab.service(on_children.limited):
        (asked,) = await lab.publish(Asked(n=5, what="clean up"))
        job = await lab.reaches("succeeded", "lab.crunch", asked, within=30)

    assert job.to_api()["result"] == {"cleaned_up": 5}


@pytest.mark.parametrize("what", ["deaf", "in C"])
async def test_what_does_not_hear_its_time_limit_is_killed_at_the_hard_one_and_others_go_on(
    lab: Lab, what: str
) -> None:
    async with lab.service(on_children.limited):
        (deaf,) = await lab.publish(Asked(n=1, what=what))
        pid = await pid_of(lab, "lab.crunch", deaf.id)
        others = await lab.publish(*(Asked(n=n) for n in range(5)))
        await all_of(lab, "succeeded", "lab.crunch", others)
        meanwhile = await lab.job("lab.crunch", deaf.id)
        job = await lab.reaches("dead", "lab.crunch", deaf, within=30)
        gone = not is_alive(pid)
        (next_,) = await lab.publish(Asked(n=1))
        await lab.reaches("succeeded", "lab.crunch", next_, within=30)

    assert meanwhile is not None
    assert meanwhile.state == "running"
    assert job.error is not None
    assert job.error["type"] == "HardTimeLimitExceeded"
    assert gone, "killed before its job was finished"


async def test_a_handler_that_eats_memory_fails_at_its_limit_and_gets_a_fresh_child(lab: Lab) -> None:
    async with lab.service(on_children.frugal):
        (modest,) = await lab.publish(Asked(n=20))
        before = (await lab.reaches("succeeded", "lab.eat", modest, within=30)).to_api()["result"]
        (greedy,) = await lab.publish(Asked(n=2000))
        job = await lab.reaches("dead", "lab.eat", greedy, within=30)
        (again,) = await lab.publish(Asked(n=20))
        after = (await lab.reaches("succeeded", "lab.eat", again, within=30)).to_api()["result"]

    assert job.error is not None
    assert job.error["type"] == "MemoryError"
    assert "in eat" in job.error["stack"]
    assert before["eaten"] == after["eaten"] == 20
    assert before["pid"] != after["pid"]


@pytest.mark.parametrize(
    ("handlers", "handler", "what"),
    [(on_children.plain, "lab.work", "sleep"), (on_children.awaited, "lab.wait", "compute")],
    ids=["blocks", "computes in a loop"],
)
async def test_a_job_in_a_child_can_be_cancelled_and_the_child_stays(
    lab: Lab, handlers: Handlers, handler: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.jobs.child_process._CANCEL_LIMIT_S", 20.0)

    async with lab.service(handlers):
        (quick,) = await lab.publish(Asked(n=0))
        before = (await lab.reaches("succeeded", handler, quick, within=30)).to_api()["result"]
        (asked,) = await lab.publish(Asked(n=600, what=what))

        async def is_at_work() -> bool:
            job = await lab.job(handler, asked.id)
            return job is not None and job.progress is not None

        await until(is_at_work, within=30)
        answer = await cancel(lab, handler, asked.id)
        job = await lab.reaches("cancelled", handler, asked, within=30)
        (quick,) = await lab.publish(Asked(n=0))
        after = (await lab.reaches("succeeded", handler, quick, within=30)).to_api()["result"]
        await lab.settles(handler)

    assert answer == "cancelling"
    assert job.attempt == 1
    assert before["pid"] == after["pid"]


async def test_what_does_not_hear_that_it_is_cancelled_is_killed(lab: Lab) -> None:
    async with lab.service(on_children.deaf):
        (asked,) = await lab.publish(Asked(n=1))
        pid = await pid_of(lab, "lab.hear_nothing", asked.id)
        await cancel(lab, "lab.hear_nothing", asked.id)
        await lab.reaches("cancelled", "lab.hear_nothing", asked, within=30)
        gone = not is_alive(pid)

    assert gone


async def test_a_job_that_outlasts_the_grace_period_is_handed_back_and_no_child_stays(
    make_lab: MakeLab, started: Callable[[], set[int]]
) -> None:
    lab = await make_lab(grace=timedelta(milliseconds=100), lease=timedelta(minutes=5))

    async with lab.service(on_children.plain):
        (asked,) = await lab.publish(Asked(n=600, what="sleep"))
        pid = await pid_of(lab, "lab.work", asked.id)
        while_it_ran = started()
    handed_back = await lab.job("lab.work", asked.id)

    assert pid in while_it_ran
    assert started() == set()
    assert handed_back is not None
    assert (handed_back.state, handed_back.attempt) == ("queued", 0)


async def test_a_service_does_not_start_when_a_child_cannot_give_what_a_handler_asks_for(
    lab: Lab, started: Callable[[], set[int]]
) -> None:
    with pytest.raises(SettingsError, match=r"ask_too_much asks for where: Path; in_child provides 0"):
        async with lab.service(on_children.unfulfilled):
            pass

    async def none_left() -> bool:
        return started() == set()

    await until(none_left)


async def test_a_child_is_replaced_after_so_many_jobs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.jobs.children.JOBS_PER_CHILD", 2)

    async with lab.service(on_children.awaited):
        pids: list[int] = []
        for n in range(4):
            (asked,) = await lab.publish(Asked(n=n))
            job = await lab.reaches("succeeded", "lab.wait", asked, within=30)
            pids.append(job.to_api()["result"]["pid"])

    assert pids[0] == pids[1] != pids[2] == pids[3]


async def test_a_child_that_died_while_it_was_idle_costs_no_attempt(lab: Lab) -> None:
    async with lab.service(on_children.awaited):
        (first,) = await lab.publish(Asked(n=1))
        before = (await lab.reaches("succeeded", "lab.wait", first, within=30)).to_api()["result"]["pid"]
        os.kill(before, signal.SIGKILL)
        await until(lambda: is_gone(before))
        (second,) = await lab.publish(Asked(n=2))
        job = await lab.reaches("succeeded", "lab.wait", second, within=30)

    assert (job.attempt, job.attempts) == (1, [])
    assert job.to_api()["result"]["pid"] != before


async def test_children_end_with_their_parent_whether_they_work_or_wait(lab: Lab) -> None:
    environment = {
        **os.environ,
        "REDIS_URL": lab.settings.redis_url.get_secret_value(),
        "NATS_URL": lab.settings.nats_url.get_secret_value(),
        "BUS_ROUTES": lab.settings.bus_routes,
        "LOG_LEVEL": "error",
    }
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.conformance.process_worker", env=environment
    )
    try:

        async def announced() -> bool:
            return bool(await lab.redis.zcard("workers"))

        await until(announced, within=30)
        sleeping, quick = await lab.publish(Asked(n=600, what="sleep"), Asked(n=1))
        at_work = await pid_of(lab, "lab.work", sleeping.id)
        job = await lab.reaches("succeeded", "lab.work", quick, within=30)
        waiting = job.to_api()["result"]["pid"]
    finally:
        worker.kill()
        await worker.wait()

    assert at_work != waiting
    await until(lambda: is_gone(at_work), within=30)
    await until(lambda: is_gone(waiting), within=30)


async def test_the_span_of_a_child_is_under_that_of_its_attempt(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with OtlpReceiver() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        async with lab.service(on_children.plain):
            (asked,) = await lab.publish(Asked(n=1))
            job = await lab.reaches("succeeded", "lab.work", asked, within=30)

        async def both_came() -> bool:
            return {"run lab.work"} < {span.name for span in collector.spans}

        await until(both_came)
        in_child = next(span for span in collector.spans if span.name == "run lab.work")
        attempt = next(span for span in collector.spans if span.name.startswith("process "))

    assert in_child.parent_id == attempt.span_id
    assert in_child.trace_id == attempt.trace_id
    assert in_child.attributes["process.pid"] == job.to_api()["result"]["pid"]


async def is_gone(pid: int) -> bool:
    return not is_alive(pid)


async def pid_of(lab: Lab, handler: str, event_id: str) -> int:
    """The process that works on the job, as it told by its progress."""

    async def told() -> int | None:
        job = await lab.job(handler, event_id)
        return int(job.progress["done"]) if job is not None and job.progress is not None else None

    return await until(told, within=30)


async def cancel(lab: Lab, handler: str, event_id: str) -> str:
    control = JobControl(lab.redis, keep=timedelta(hours=1))
    return await control.cancel(handler, event_id, event_type="lab.asked")
