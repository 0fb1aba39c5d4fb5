"""GET /v1/jobs/{id}/stream: each change as it happens, resumed where the client was, ended with the job."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import NamedTuple

from httpx import AsyncClient

from gateway.door.streams import follow
from gateway.history.jobs import Jobs
from gateway.history.live import LiveJobs
from shared.contracts import new_id
from tests.conftest import Servers
from tests.gateway.history.stand_in import WELCOME, Workers, away
from tests.until import until

SOON_S = 5.0


class Told(NamedTuple):
    """One server-sent event."""

    name: str
    id: str
    data: dict[str, object]


def parsed(block: bytes) -> Told | None:
    """The event; None for a comment."""
    fields = dict(line.split(": ", 1) for line in block.decode().strip().splitlines())
    if "event" not in fields:
        return None
    return Told(fields["event"], fields["id"], json.loads(fields["data"]))


async def next_told(stream: AsyncIterator[bytes]) -> Told:
    async with asyncio.timeout(SOON_S):
        while not (told := parsed(await anext(stream))):
            continue
        return told


async def blocks(lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """What comes over HTTP, an event at a time."""
    block: list[str] = []
    async for line in lines:
        if line:
            block.append(line)
        elif block:
            yield "\n".join(block).encode()
            block = []


async def test_a_stream_tells_the_present_state_each_change_and_the_end(
    served: AsyncClient, workers: Workers
) -> None:
    event_id = new_id()
    await workers.write(event_id, "running")

    async with served.stream("GET", f"/v1/jobs/{WELCOME}:{event_id}/stream") as answer:
        stream = blocks(answer.aiter_lines())
        first = await next_told(stream)
        began = time.monotonic()
        progress_id = await workers.write(
            event_id, "running", progress={"done": 1, "total": 2, "note": "half"}
        )
        progress = await next_told(stream)
        took_s = time.monotonic() - began
        final_id = await workers.write(event_id, "succeeded", result={"n": 1})
        final = await next_told(stream)
        end = await next_told(stream)
        rest = [block async for block in stream]

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (first.name, first.data["state"]) == ("state", "running")
    assert (progress.name, progress.id) == ("progress", progress_id)
    assert progress.data["progress"] == {"done": 1, "total": 2, "note": "half"}
    assert took_s < 0.5
    assert (final.name, final.id, final.data["result"]) == ("state", final_id, {"n": 1})
    assert (end.name, rest) == ("end", [])


async def test_a_client_that_comes_back_is_told_only_what_changed_since(
    lookup: Jobs, live: LiveJobs, workers: Workers
) -> None:
    event_id = new_id()
    job_id = f"{WELCOME}:{event_id}"
    seen = await workers.write(event_id, "running")
    await until(lambda: _has_come_to(live, seen))

    resumed = follow(lookup, live, job_id, seen=seen)
    next_ = asyncio.create_task(next_told(resumed))
    await until(lambda: _is_watched(live))
    await workers.write(event_id, "retrying")
    told = await next_
    missed = await workers.write(event_id, "succeeded")
    await until(lambda: _has_come_to(live, missed))
    late = follow(lookup, live, job_id, seen=told.id)

    assert told.data["state"] == "retrying"
    assert (await next_told(late)).data["state"] == "succeeded"
    assert (await next_told(late)).name == "end"


async def test_a_client_that_knows_the_end_is_told_the_end_alone(
    lookup: Jobs, live: LiveJobs, workers: Workers
) -> None:
    event_id = new_id()
    seen = await workers.write(event_id, "succeeded")
    await until(lambda: _has_come_to(live, seen))

    stream = follow(lookup, live, f"{WELCOME}:{event_id}", seen=seen)

    assert [parsed(block) for block in [block async for block in stream]] == [Told("end", seen, {})]


async def test_an_unknown_last_event_id_is_answered_with_the_present_state(
    lookup: Jobs, live: LiveJobs, workers: Workers
) -> None:
    event_id = new_id()
    await workers.write(event_id, "running")

    for seen in ("0-0", "nonsense", "1-1"):
        told = await next_told(follow(lookup, live, f"{WELCOME}:{event_id}", seen=seen))
        assert told.data["state"] == "running"


async def test_silence_is_broken_by_heartbeats(lookup: Jobs, live: LiveJobs, workers: Workers) -> None:
    event_id = new_id()
    await workers.write(event_id, "running")
    stream = follow(lookup, live, f"{WELCOME}:{event_id}", heartbeat=timedelta(milliseconds=20))

    await next_told(stream)

    async with asyncio.timeout(SOON_S):
        assert (await anext(stream)).startswith(b":")


async def test_a_thousand_changes_ring_one_bell(lookup: Jobs, live: LiveJobs, workers: Workers) -> None:
    event_id = new_id()
    await workers.write(event_id, "running")
    stream = follow(lookup, live, f"{WELCOME}:{event_id}")
    await next_told(stream)

    for done in range(1000):
        await workers.tell([(event_id, "running", 1)] * 3)
        if done == 500:
            await workers.write_hash(event_id, "running", progress={"done": 500, "total": 1000, "note": ""})
    await workers.write(event_id, "succeeded")

    seen = [await next_told(stream)]
    while seen[-1].name != "end":
        seen.append(await next_told(stream))
    assert len(seen) < 10
    assert seen[-2].data["state"] == "succeeded"


async def test_a_key_has_so_many_streams_and_gets_them_back(served: AsyncClient, workers: Workers) -> None:
    event_id = new_id()
    await workers.write(event_id, "running")
    path = f"/v1/jobs/{WELCOME}:{event_id}/stream"

    async with served.stream("GET", path), served.stream("GET", path):
        refused = await served.get(path)
        async with served.stream("GET", path, headers={"Authorization": "Bearer other"}) as other:
            assert other.status_code == 200
    await workers.write(event_id, "succeeded")

    async def is_let_in() -> bool:
        return (await served.get(path)).status_code == 200

    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-streams")
    assert int(refused.headers["retry-after"]) > 0
    await until(is_let_in)


async def test_a_stream_stops_when_the_client_goes_away(
    served: AsyncClient, workers: Workers, live: LiveJobs
) -> None:
    event_id = new_id()
    await workers.write(event_id, "running")

    async with served.stream("GET", f"/v1/jobs/{WELCOME}:{event_id}/stream"):
        await until(lambda: _is_watched(live))

    await until(lambda: _is_unwatched(live))


async def test_a_stream_ends_when_the_process_drains(lookup: Jobs, live: LiveJobs, workers: Workers) -> None:
    event_id = new_id()
    await workers.write(event_id, "running")
    stream = follow(lookup, live, f"{WELCOME}:{event_id}")
    await next_told(stream)

    live.stop()

    async with asyncio.timeout(SOON_S):
        assert [block async for block in stream] == []


async def test_a_stream_outlives_a_redis_that_is_restarted_empty(
    lookup: Jobs, live: LiveJobs, workers: Workers, servers: Servers
) -> None:
    event_id = new_id()
    await workers.write(event_id, "running")
    stream = follow(lookup, live, f"{WELCOME}:{event_id}")
    await next_told(stream)

    await workers.redis.flushall()
    async with away(servers.redis):
        pass
    await workers.write(event_id, "succeeded")

    async with asyncio.timeout(15):
        told = await next_told(stream)
    assert told.data["state"] == "succeeded"


async def _has_come_to(live: LiveJobs, entry_id: str) -> bool:
    return entry_id in live._latest.values()


async def _is_watched(live: LiveJobs) -> bool:
    return bool(live._watches)


async def _is_unwatched(live: LiveJobs) -> bool:
    return not live._watches
