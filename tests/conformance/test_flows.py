"""What a handler causes: chains, and groups that fan out; the same on Redis Streams and on JetStream."""

from collections.abc import Callable
from typing import Any, ClassVar, cast

import pytest

from shared.contracts import Envelope, Event, caused_id, decode_batch, decode_structured
from shared.jobs import Group, Handlers, Job, JobRecord, decode_group, then_id
from tests.conformance.conftest import Answered, Asked, Lab
from tests.until import until


class AllAnswered(Event):
    """All of a group have been answered."""

    type: ClassVar[str] = "lab.all_answered"

    of: int


async def caused_jobs(lab: Lab, handler: str, job: JobRecord) -> list[JobRecord]:
    """The jobs that the handler has of what the job caused, once all have succeeded."""

    async def there() -> list[JobRecord] | None:
        jobs = [await lab.job(handler, event["id"]) for event in job.caused]
        found = [one for one in jobs if one is not None and one.state == "succeeded"]
        return found if len(found) == len(jobs) else None

    return await until(there, within=20, what=f"{len(job.caused)} jobs of {handler}")


async def test_a_job_keeps_what_it_caused_as_it_was_published(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def answer(event: Asked) -> tuple[Answered, Answered]:
        return Answered(n=event.n), Answered(n=event.n + 1)

    @handlers.on(Answered)
    async def note(event: Answered) -> int:
        return event.n

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        job = await lab.reaches("succeeded", "lab.answer", asked)
        notes = await caused_jobs(lab, "lab.note", job)

    kept = decode_batch(job.caused_events or b"")
    assert kept == [decode_structured(note.event or b"") for note in notes]
    assert [envelope.id for envelope in kept] == [caused_id(job.id, "lab.answered", n) for n in (0, 1)]
    assert job.group is None


async def test_a_chain_of_three_keeps_its_first_event_and_names_each_cause(lab: Lab) -> None:
    handlers, seen = Handlers("lab"), list[Envelope]()

    @handlers.on(Asked)
    async def first(event: Asked) -> Answered:
        return Answered(n=event.n)

    @handlers.on(Answered)
    async def second(event: Answered, job: Job) -> AllAnswered:
        seen.append(job.envelope)
        return AllAnswered(of=event.n)

    @handlers.on(AllAnswered)
    async def third(event: AllAnswered, job: Job) -> int:
        seen.append(job.envelope)
        return event.of

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=7))

        async def all_seen() -> bool:
            return len(seen) == 2

        await until(all_seen)

    answered, all_answered = seen
    assert answered.attributes["causationid"] == asked.id
    assert all_answered.attributes["causationid"] == answered.id
    assert {answered.correlation_id, all_answered.correlation_id} == {asked.id}


async def test_a_group_publishes_its_events_and_keeps_the_one_that_follows(lab: Lab) -> None:
    handlers, followed = Handlers("lab"), list[int]()

    @handlers.on(Asked)
    async def ask_all(event: Asked) -> Group:
        return Group(events=[Answered(n=n) for n in range(event.n)], then=AllAnswered(of=event.n))

    @handlers.on(Answered)
    async def note(event: Answered, job: Job) -> dict[str, object]:
        return {"n": event.n, "ends a group": job.group is not None, **job.envelope.attributes}

    @handlers.on(AllAnswered)
    async def follow(event: AllAnswered) -> None:
        followed.append(event.of)

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=3))
        job = await lab.reaches("succeeded", "lab.ask_all", asked)
        notes = await caused_jobs(lab, "lab.note", job)

    group = decode_group(job.group or b"")
    assert job.to_api()["result"] == {
        "group": {
            "id": group.id,
            "members": 3,
            "then": {"id": then_id(group.id), "type": "lab.all_answered"},
        }
    }
    assert [event["id"] for event in job.caused] == [caused_id(job.id, "lab.answered", n) for n in range(3)]
    results: list[dict[str, Any]] = [note.to_api()["result"] for note in notes]
    assert [result["n"] for result in results] == [0, 1, 2]
    assert {result["groupid"] for result in results} == {group.id}
    assert {result["causationid"] for result in results} == {asked.id}
    assert not any(result["ends a group"] for result in results)
    assert (group.then.id, group.then.data) == (then_id(group.id), b'{"of":3}')
    assert group.then.attributes["causationid"] == asked.id
    assert group.then.correlation_id == asked.id
    assert followed == []


async def test_a_group_is_the_same_when_its_job_runs_again(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def ask_all(event: Asked) -> Group:
        return Group(events=[Answered(n=event.n)], then=AllAnswered(of=1))

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=3))
        first = await lab.reaches("succeeded", "lab.ask_all", asked)
        await lab.redis.flushall()
        attributes = {"id": asked.id, "source": asked.source, "type": asked.type, "specversion": "1.0"}
        await lab.publish_raw(asked.data, {f"ce-{name}": value for name, value in attributes.items()})
        second = await lab.reaches("succeeded", "lab.ask_all", asked)

    one, other = decode_group(first.group or b""), decode_group(second.group or b"")
    assert first.started_at != second.started_at
    assert first.caused == second.caused
    assert (one.id, one.then.id, one.then.data) == (other.id, other.then.id, other.then.data)


async def test_a_group_larger_than_a_batch_is_published_whole(lab: Lab) -> None:
    handlers, seen = Handlers("lab"), set[int]()

    @handlers.on(Asked)
    async def ask_all(event: Asked) -> Group:
        return Group(events=[Answered(n=n) for n in range(event.n)], then=AllAnswered(of=event.n))

    @handlers.on(Answered)
    async def note(event: Answered) -> None:
        seen.add(event.n)

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1200))
        job = await lab.reaches("succeeded", "lab.ask_all", asked, within=30)

        async def all_seen() -> bool:
            return len(seen) == 1200

        await until(all_seen, within=30)

    assert job.to_api()["result"]["group"]["members"] == 1200
    assert len(decode_batch(job.caused_events or b"")) == 1200
    assert len(job.caused) == 1000


THEN = AllAnswered(of=0)


class Nameless(Event):
    """An event that somebody forgot to give a type."""


class Long(Event):
    """More than one event may carry."""

    type: ClassVar[str] = "lab.long"

    text: str


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda: Group([Answered(n=1)] * 10_001, THEN), "has 10001 events, 10000 are allowed"),
        (lambda: Group([Long(text="x" * 1_000_001)], THEN), "1000000 are allowed"),
        (lambda: Group([Long(text="x" * 900_000)] * 9, THEN), "8000000 are allowed"),
        (lambda: Group(cast("Any", [42]), THEN), "holds a int, which is no event"),
        (lambda: Group([], cast("Any", None)), "holds a NoneType, which is no event"),
        (lambda: Group(cast("Any", iter([THEN])), THEN), "are no list and no tuple"),
        (lambda: Group([Long.model_construct(text="\ud800")], THEN), "cannot be published"),
        (lambda: Group([Nameless()], THEN), "cannot be published"),
        (lambda: (Group([], THEN), Answered(n=1)), "a Group is returned alone"),
    ],
)
async def test_a_group_that_cannot_be_kept_ends_its_job_with_the_reason(
    lab: Lab, returned: Callable[[], Any], said: str
) -> None:
    handlers = Handlers("lab")

    @handlers.on(Asked)
    async def ask_all(event: Asked) -> object:
        del event
        return returned()

    async with lab.service(handlers):
        (asked,) = await lab.publish(Asked(n=1))
        job = await lab.reaches("dead", "lab.ask_all", asked)

    assert job.reason == "non_retryable"
    assert said in (job.error or {})["message"]
    assert (job.caused, job.group) == ([], None)
