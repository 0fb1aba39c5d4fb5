"""The floor without state: redis-py's XREADGROUP of 256 and one XACK for each batch."""

import sys

import uvloop

from bench.contenders.command import Contender, main, python
from bench.contenders.raw import GROUP, STREAM, Entry, Raw, work

CONTENDER = Contender(
    title="floor: XREADGROUP + XACK",
    packages=("redis", "hiredis", "uvloop"),
    acknowledges=True,
    jobs_factor=10,
    keeps_result=False,
    note="redis-py asyncio with hiredis and uvloop; no status, no result, no retry",
)
raw = Raw()


async def settle(ended: list[tuple[Entry, bytes]]) -> None:
    """Acknowledge them together."""
    await raw.redis.xack(STREAM, GROUP, *(entry[0] for entry, _ in ended))


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        uvloop.run(work(raw, None, settle))
        sys.exit()
    main(
        CONTENDER,
        enqueue_one=raw.one,
        enqueue_many=raw.many,
        enqueue_nap=raw.nap,
        enqueue_naps=raw.naps,
        enqueue_stamp=raw.stamp,
        prepare=raw.prepare,
        worker_argv=lambda _concurrency, _variant: python("bench.contenders.floor_ack", "worker"),
        opened=raw.opened,
        run=uvloop.run,
    )
