"""Huey: jobs popped off a Redis list, results in a hash; a job that was popped and not finished is lost."""

import os
import time

if os.environ.get("BENCH_HUEY") == "greenlets":
    from gevent import monkey

    monkey.patch_all()  # first of all, as its manual asks for

from huey import RedisHuey

from bench import tally
from bench.contenders import command
from bench.contenders.command import Contender, payload

# Each greenlet waits on a connection of its own, and the pool of redis-py ends at 100.
URL = f"{os.environ.get('REDIS_URL', 'redis://127.0.0.1:6379')}?max_connections=1024"
CONTENDER = Contender(
    title="Huey",
    packages=("huey", "redis", "gevent"),
    note=(
        "RedisHuey with blocking reads; one thread, or greenlets; pickle; quiet logs; a popped job is lost "
        "with its worker; nothing enqueues in bulk"
    ),
    variants={"": {}, "greenlets": {"BENCH_HUEY": "greenlets"}},
    one_core=True,
    acknowledges=False,
    keeps_result=True,
)

huey = RedisHuey("bench", url=URL)


@huey.task(name="noop")
def noop(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """No work at all."""
    del parcel_id, note
    tally.hit()
    return {"taken": sku}


@huey.task(name="nap")
def nap(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """Wait, as for an answer from elsewhere; gevent's patch makes it cooperative."""
    del parcel_id, note
    time.sleep(command.NAP_S)
    tally.hit()
    return {"taken": sku}


@huey.task(name="stamp")
def stamp(sent_ns: int) -> None:
    """Tell how long ago this was sent."""
    tally.latency(time.time_ns() - sent_ns)


def enqueue_one(n: int) -> None:
    """One job."""
    noop(*payload(n))


def enqueue_nap(n: int) -> None:
    """One job that waits."""
    nap(*payload(n))


def enqueue_stamp(sent_ns: int) -> None:
    """One job that tells when it started."""
    stamp(sent_ns)


def states() -> int:
    """Results that are kept."""
    return huey.result_count()


def worker_argv(concurrency: int, variant: str) -> list[str]:
    """One thread, or so many greenlets, of its consumer."""
    kind = ("greenlet", str(concurrency)) if variant else ("thread", "1")
    return command.program(
        "huey_consumer", "bench.contenders.huey.huey", "-k", kind[0], "-w", kind[1], "-q", "-g", "TERM",
    )  # fmt: skip


if __name__ == "__main__":
    # A job tells the module of its function, which would be __main__ here.
    from bench.contenders import huey as named  # noqa: PLW0406

    command.main(
        CONTENDER,
        enqueue_one=named.enqueue_one,
        enqueue_nap=named.enqueue_nap,
        enqueue_stamp=named.enqueue_stamp,
        worker_argv=worker_argv,
        states=states,
    )
