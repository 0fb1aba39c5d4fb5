"""What comes over a bus, from us and from others, the same on Redis Streams and on JetStream."""

import pytest

from shared.contracts import STRUCTURED_TYPE, Envelope, encode_structured, wrap
from shared.jobs import Handlers, Job, JobRecord
from tests.conformance.conftest import Asked, Lab
from tests.until import until


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
