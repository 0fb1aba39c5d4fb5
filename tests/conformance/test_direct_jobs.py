"""Jobs enqueued for one handler by name: who runs them, and when; the same on both buses."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from shared.bus import Bus
from shared.contracts import DELIVER_AT, HANDLER, Event, UserRegistered, encode_structured, new_id, wrap
from shared.errors import BusUnavailable, InvalidData, UnknownHandler
from shared.jobs import Handlers, JobReader, JobRecord, Retry
from shared.settings import Secret
from tests.conformance.conftest import Answered, Asked, Lab, MakeLab
from tests.until import until


class Other(Event):
    """Something that the lab's handlers do not work on."""

    type: ClassVar[str] = "lab.other"

    n: int


def two_handlers() -> tuple[Handlers, list[tuple[str, int]]]:
    """Two handlers of one event, and what they were asked."""
    handlers = Handlers("lab")
    seen: list[tuple[str, int]] = []

    @handlers.on(Asked, retry=Retry(attempts=1))
    async def first(event: Asked) -> int:
        seen.append(("first", event.n))
        if event.what == "fail":
            raise ValueError("as told")
        return event.n

    @handlers.on(Asked)
    async def second(event: Asked) -> int:
        seen.append(("second", event.n))
        return event.n

    return handlers, seen


async def job(lab: Lab, job_id: str) -> JobRecord | None:
    return (await JobReader(lab.redis).get([job_id]))[0]


async def reaches(lab: Lab, state: str, job_id: str) -> JobRecord:
    async def there() -> JobRecord | None:
        found = await job(lab, job_id)
        return found if found is not None and found.state == state else None

    return await until(there, within=20, what=f"{job_id} {state}")


async def waiting(lab: Lab) -> int:
    return int(await lab.redis.xlen("queue:{lab.first}"))


async def test_an_enqueued_job_runs_its_handler_and_no_other(lab: Lab) -> None:
    handlers, seen = two_handlers()

    async with lab.service(handlers):
        enqueued = await lab.bus.enqueue("lab.first", {"n": 1})
        done = await reaches(lab, "succeeded", enqueued.job_id)
        (asked,) = await lab.publish(Asked(n=2))
        await lab.reaches("succeeded", "lab.first", asked)
        await lab.reaches("succeeded", "lab.second", asked)

        async def through() -> bool:
            return await waiting(lab) == 0

        await until(through, what="the queue is empty")

    assert enqueued.is_new
    assert done.to_api()["result"] == 1
    assert done.event_type == "lab.asked"
    assert sorted(seen) == [("first", 1), ("first", 2), ("second", 2)]


async def test_the_event_itself_is_as_good_as_its_data(lab: Lab) -> None:
    handlers, seen = two_handlers()

    async with lab.service(handlers):
        enqueued = await lab.bus.enqueue("lab.second", Asked(n=3))
        await reaches(lab, "succeeded", enqueued.job_id)

    assert seen == [("second", 3)]


async def test_what_is_enqueued_while_no_worker_lives_runs_when_one_is_back(lab: Lab) -> None:
    handlers, seen = two_handlers()
    async with lab.service(handlers):
        pass

    enqueued = await lab.bus.enqueue("lab.first", {"n": 1})
    assert await job(lab, enqueued.job_id) is None
    async with lab.service(handlers):
        await reaches(lab, "succeeded", enqueued.job_id)

    assert seen == [("first", 1)]


async def test_the_same_id_again_is_the_same_job(lab: Lab) -> None:
    handlers, seen = two_handlers()

    async with lab.service(handlers):
        first, second = [await lab.bus.enqueue("lab.first", {"n": 1}, id="order-4711") for _ in range(2)]
        await reaches(lab, "succeeded", first.job_id)
        third = await lab.bus.enqueue("lab.first", {"n": 1}, id="order-4711")
        await lab.redis.delete(f"dd:{{lab.first}}:{first.job_id.rpartition(':')[2]}")  # DEDUPE_WINDOW is over
        fourth = await lab.bus.enqueue("lab.first", {"n": 1}, id="order-4711")

    assert [one.is_new for one in (first, second, third, fourth)] == [True, False, False, False]
    assert {one.job_id for one in (second, third, fourth)} == {first.job_id}
    assert seen == [("first", 1)]


async def test_a_job_for_later_waits_for_its_instant(lab: Lab) -> None:
    handlers, seen = two_handlers()
    due_at = datetime.now(UTC) + timedelta(seconds=1.5)

    async with lab.service(handlers):
        enqueued = await lab.bus.enqueue("lab.first", {"n": 1}, deliver_at=due_at)
        queued = await reaches(lab, "queued", enqueued.job_id)
        assert queued.due_at is not None
        assert abs(queued.due_at - due_at) < timedelta(milliseconds=2)
        done = await reaches(lab, "succeeded", enqueued.job_id)

    assert done.started_at is not None
    assert done.started_at >= due_at - timedelta(milliseconds=2)
    assert seen == [("first", 1)]


async def test_a_job_that_comes_too_late_expires(lab: Lab) -> None:
    handlers, seen = two_handlers()
    past = datetime.now(UTC) - timedelta(seconds=1)

    async with lab.service(handlers):
        enqueued = await lab.bus.enqueue("lab.first", {"n": 1}, expires_at=past)
        await reaches(lab, "expired", enqueued.job_id)

    assert seen == []


async def test_what_a_direct_job_causes_is_for_every_handler(lab: Lab) -> None:
    handlers = Handlers("lab")
    answered: list[int] = []

    @handlers.on(Asked)
    async def answer(event: Asked) -> Answered:
        return Answered(n=event.n)

    @handlers.on(Answered)
    async def note(event: Answered) -> None:
        answered.append(event.n)

    async with lab.service(handlers):
        enqueued = await lab.bus.enqueue("lab.answer", {"n": 5})
        done = await reaches(lab, "succeeded", enqueued.job_id)
        noted = await reaches(lab, "succeeded", f"lab.note:{done.caused[0]['id']}")

    assert answered == [5]
    assert noted.event is not None
    assert HANDLER.encode() not in noted.event


async def test_a_handler_may_ask_for_the_bus_and_enqueue(lab: Lab) -> None:
    handlers = Handlers("lab")
    answered: list[int] = []

    @handlers.on(Asked)
    async def answer(event: Asked, bus: Bus) -> str:
        return (await bus.enqueue("lab.note", {"n": event.n})).job_id

    @handlers.on(Answered)
    async def note(event: Answered) -> None:
        answered.append(event.n)

    async with lab.service(handlers):
        enqueued = await lab.bus.enqueue("lab.answer", {"n": 6})
        done = await reaches(lab, "succeeded", enqueued.job_id)
        await reaches(lab, "succeeded", done.to_api()["result"])

    assert answered == [6]


async def test_a_published_event_that_names_a_handler_goes_to_its_queue_alone(lab: Lab) -> None:
    handlers, seen = two_handlers()
    event = wrap(Asked(n=1), source="/lab", extensions={HANDLER: "lab.second"})

    async with lab.service(handlers):
        assert set(await lab.bus.publish([event])) == {event.id}
        assert set(await lab.bus.publish([event])) == {event.id}  # as a relay does that is not sure
        done = await reaches(lab, "succeeded", f"lab.second:{event.id}")

    assert seen == [("second", 1)]
    assert done.event == encode_structured(event)


async def test_a_foreign_message_that_names_a_handler_is_still_for_every_handler(lab: Lab) -> None:
    handlers, seen = two_handlers()
    id_ = new_id()

    async with lab.service(handlers):
        await lab.publish_raw(
            b'{"n": 9}', {"ce-id": id_, "ce-handler": "lab.first", "ce-source": "/elsewhere"}
        )
        one = await reaches(lab, "succeeded", f"lab.first:{id_}")
        await reaches(lab, "succeeded", f"lab.second:{id_}")

    assert sorted(seen) == [("first", 9), ("second", 9)]
    assert one.event is not None
    assert b'"handler"' not in one.event


async def test_a_foreign_entry_of_a_queue_is_its_handlers_whatever_it_says(lab: Lab) -> None:
    handlers, seen = two_handlers()
    id_ = new_id()
    fields: dict[Any, Any] = {
        "ce-id": id_,
        "ce-type": "lab.asked",
        "ce-source": "/cli",
        "ce-handler": "lab.second",
    }

    async with lab.service(handlers):
        await lab.redis.xadd("queue:{lab.first}", {**fields, "data": b'{"n": 4}'})
        done = await reaches(lab, "succeeded", f"lab.first:{id_}")
        await lab.redis.xadd("queue:{lab.first}", {"ce-type": "lab.asked", "data": b'{"n": 5}'})

        async def both() -> bool:
            return len(seen) == 2

        await until(both, what="an entry with a type and data alone is enough")

    assert seen == [("first", 4), ("first", 5)]
    assert done.event is not None
    assert b'"handler":"lab.first"' in done.event


async def test_an_unknown_handler_is_told_with_those_that_there_are(lab: Lab) -> None:
    handlers, _ = two_handlers()

    async with lab.service(handlers):
        with pytest.raises(UnknownHandler, match=r"'lab.frist'; known are: lab.first, lab.second"):
            await lab.bus.enqueue("lab.frist", {"n": 1})

    assert await lab.redis.exists("queue:{lab.frist}") == 0


async def test_an_event_of_another_type_is_refused(lab: Lab) -> None:
    handlers, _ = two_handlers()

    async with lab.service(handlers):
        with pytest.raises(InvalidData, match=r"works on lab.asked, not on lab.other"):
            await lab.bus.enqueue("lab.first", Other(n=1))


async def test_data_is_checked_against_a_contract_of_the_catalogue(lab: Lab) -> None:
    handlers = Handlers("lab")

    @handlers.on(UserRegistered)
    async def welcome(event: UserRegistered) -> None:
        del event

    async with lab.service(handlers):
        with pytest.raises(InvalidData) as refused:
            await lab.bus.enqueue("lab.welcome", {"user_id": "u-1", "name": 7})

    assert {problem.pointer for problem in refused.value.problems} == {"/name", "/email"}


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"deliver_at": datetime(2026, 11, 22)}, "deliver_at is 2026-11-22 00:00:00; give an instant"),  # noqa: DTZ001 - what is refused
        ({"expires_at": datetime(2026, 11, 22)}, "expires_at"),  # noqa: DTZ001 - the same
        (
            {
                "deliver_at": datetime(2026, 11, 22, tzinfo=UTC),
                "expires_at": datetime(2026, 11, 21, tzinfo=UTC),
            },
            "not after deliver_at",
        ),
        ({"unique_key": ""}, "unique_key must be printable text of 1 to 255"),
        ({"unique_key": "a\nb"}, "unique_key must be printable"),
        ({"unique_key": "a" * 256}, "unique_key must be printable"),
        ({"unique_key": "a", "unique_for": timedelta(0)}, "longer than 0 s"),
        ({"unique_key": "a", "unique_for": timedelta(days=31)}, r"it may be 30 days, 0:00:00 \(DEAD_TTL\)"),
        ({"id": ""}, "id is empty"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(lab: Lab, order: dict[str, Any], said: str) -> None:
    handlers, _ = two_handlers()

    async with lab.service(handlers):
        with pytest.raises(ValueError, match=said):
            await lab.bus.enqueue("lab.first", {"n": 1}, **order)


async def test_data_that_is_no_json_is_refused(lab: Lab) -> None:
    handlers, _ = two_handlers()

    async with lab.service(handlers):
        with pytest.raises(InvalidData, match="the data is no JSON"):
            await lab.bus.enqueue("lab.first", {"n": object()})


async def test_without_redis_the_caller_is_told_and_may_repeat(make_lab: MakeLab) -> None:
    lab = await make_lab()
    async with Bus.open(
        lab.settings.model_copy(update={"redis_url": Secret("redis://127.0.0.1:1/0")})
    ) as bus:
        with pytest.raises(BusUnavailable, match="redis does not answer"):
            await bus.enqueue("lab.first", {"n": 1})


async def test_with_nats_alone_direct_jobs_still_go_through_redis(make_lab: MakeLab) -> None:
    lab = await make_lab(buses="nats", bus_routes="*=nats")
    handlers, seen = two_handlers()
    soon = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
    later = wrap(Asked(n=2), source="/lab", extensions={HANDLER: "lab.second", DELIVER_AT: soon})

    async with lab.service(handlers), Bus.open(lab.settings) as bus:
        enqueued = await bus.enqueue("lab.first", {"n": 1}, unique_key="k")
        assert set(await bus.publish([later])) == {later.id}
        await reaches(lab, "succeeded", enqueued.job_id)
        await reaches(lab, "succeeded", f"lab.second:{later.id}")
        (asked,) = await lab.publish(Asked(n=3))
        await lab.reaches("succeeded", "lab.first", asked)
        await lab.reaches("succeeded", "lab.second", asked)

    assert sorted(seen) == [("first", 1), ("first", 3), ("second", 2), ("second", 3)]
