"""What is refused of a handler in a child process, before anything starts."""

import re
from datetime import timedelta
from typing import Any

import pytest

from shared.contracts import UserRegistered
from shared.errors import SettingsError
from shared.jobs import Handlers, Job
from shared.jobs.origin import load, origin_of
from tests.conformance import process_handlers


async def welcome(event: UserRegistered) -> None:
    del event


def greet(event: UserRegistered) -> None:
    del event


@pytest.mark.parametrize(
    ("function", "options", "why"),
    [
        (greet, {}, "email.greet must be an async function, or run with isolation='process'"),
        (
            welcome,
            {"memory_limit_bytes": 2**30},
            "email.welcome: memory_limit_bytes needs isolation='process'",
        ),
        (
            greet,
            {"isolation": "process", "memory_limit_bytes": 1024},
            "email.greet: memory_limit_bytes is 1024; a child process needs 134217728 bytes to begin with",
        ),
        (
            welcome,
            {"time_limit": timedelta(seconds=9), "hard_limit": timedelta(seconds=9)},
            (
                "email.welcome: time_limit is 0:00:09 and hard_limit 0:00:09; "
                "the first must be longer than nothing, the second longer than the first"
            ),
        ),
    ],
)
def test_options_that_do_not_fit_are_refused_where_they_are_written(
    function: Any, options: dict[str, Any], why: str
) -> None:
    handlers = Handlers("email")

    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        handlers.on(UserRegistered, **options)(function)


def test_a_function_inside_another_cannot_run_in_a_child() -> None:
    handlers = Handlers("email")

    with pytest.raises(
        ValueError, match="which a child process cannot import; define it at the top of a module"
    ):

        @handlers.on(UserRegistered, isolation="process")
        def inner(event: UserRegistered) -> None:
            del event


def test_a_handler_whose_module_does_not_hold_its_handlers_is_refused_at_the_start() -> None:
    handlers = Handlers("email")
    handlers.on(UserRegistered, isolation="process")(greet)
    (handler,) = handlers

    with pytest.raises(
        SettingsError, match=r"email.greet cannot be imported by a child process: .* must hold"
    ):
        origin_of(handler)


def test_a_child_finds_the_handler_by_its_names() -> None:
    (handler,) = process_handlers.plain

    origin = origin_of(handler)

    assert (origin.module, origin.function) == ("tests.conformance.process_handlers", "work")
    assert load(origin) is handler


def test_a_process_handler_runs_as_many_jobs_as_there_are_cpus_and_ten_seconds_beyond_its_limit() -> None:
    handlers = Handlers("email")
    handlers.on(UserRegistered, isolation="process", time_limit=timedelta(seconds=5))(greet)
    handlers.on(UserRegistered)(welcome)

    in_child, in_loop = handlers

    assert 1 <= in_child.concurrency < in_loop.concurrency
    assert in_child.hard_limit == timedelta(seconds=15)


async def test_progress_now_is_refused_in_the_event_loop(job: Job) -> None:
    with pytest.raises(RuntimeError, match=r"await job\.progress"):
        job.progress_now(1, 2)


@pytest.fixture
def job() -> Job:
    async def tell(done: float, total: float, note: str) -> None:
        raise AssertionError(done, total, note)

    fields: dict[str, Any] = {"envelope": None, "deadline": None, "log": None}
    return Job(id="a:b", handler="a", attempt=1, tell_progress=tell, **fields)
