"""The floor with state: XREADGROUP of 256, a status and a result for each job, in two pipelines a batch."""

import sys
import time

import uvloop

from bench.contenders.command import Contender, main, python
from bench.contenders.raw import GROUP, STREAM, Entry, Raw, work

CONTENDER = Contender(
    title="floor: with status and result",
    packages=("redis", "hiredis", "uvloop"),
    acknowledges=True,
    keeps_result=True,
    note="as the floor; HSET of the status in one pipeline, status, result, EXPIRE and XACK in a second",
)
KEPT_S = 86_400
raw = Raw()


async def claim(entries: list[Entry]) -> None:
    """Say that they run."""
    now = int(time.time() * 1000)
    pipe = raw.redis.pipeline(transaction=False)
    for id_, fields in entries:
        pipe.hset(
            _key(id_), mapping={"state": "running", "started_at": now, "attempt": 1, "data": fields[b"data"]}
        )
    await pipe.execute()


async def settle(ended: list[tuple[Entry, bytes]]) -> None:
    """Say what came of them, and acknowledge them."""
    now = int(time.time() * 1000)
    pipe = raw.redis.pipeline(transaction=False)
    for (id_, _), result in ended:
        pipe.hset(_key(id_), mapping={"state": "succeeded", "finished_at": now, "result": result})
        pipe.expire(_key(id_), KEPT_S)
    pipe.xack(STREAM, GROUP, *(entry[0] for entry, _ in ended))
    await pipe.execute()


async def states() -> int:
    """How many jobs are kept as succeeded."""
    found = 0
    pipe = raw.redis.pipeline(transaction=False)
    async for key in raw.redis.scan_iter("job:*", count=1_000):
        pipe.hget(key, "state")
    for state in await pipe.execute():
        found += state == b"succeeded"
    return found


def _key(id_: bytes) -> bytes:
    return b"job:" + id_


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        uvloop.run(work(raw, claim, settle))
        sys.exit()
    main(
        CONTENDER,
        enqueue_one=raw.one,
        enqueue_many=raw.many,
        enqueue_nap=raw.nap,
        enqueue_naps=raw.naps,
        enqueue_stamp=raw.stamp,
        prepare=raw.prepare,
        states=states,
        worker_argv=lambda _concurrency, _variant: python("bench.contenders.floor_state", "worker"),
        opened=raw.opened,
        run=uvloop.run,
    )
