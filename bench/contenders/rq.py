"""RQ: a hash for each job, registries in sorted sets, a process forked for each job."""

import os
import time

from redis import Redis
from rq import Queue

from bench import tally
from bench.contenders import command
from bench.contenders.command import Contender, payload

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")  # `rq worker --config` reads it here
CONTENDER = Contender(
    title="RQ",
    packages=("rq", "redis"),
    note=(
        "Worker, which forks for each job, as it advises for production, or SimpleWorker, which does not; "
        "pickle; quiet logs; bulk by enqueue_many"
    ),
    variants={"": {}, "SimpleWorker": {}},
    acknowledges=True,
    keeps_result=True,
)
MODULE = "bench.contenders.rq"
queue = Queue("bench", connection=Redis.from_url(REDIS_URL))


def noop(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """No work at all."""
    del parcel_id, note
    tally.hit()
    return {"taken": sku}


def nap(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """Wait, as for an answer from elsewhere."""
    del parcel_id, note
    time.sleep(command.NAP_S)
    tally.hit()
    return {"taken": sku}


def stamp(sent_ns: int) -> None:
    """Tell how long ago this was sent."""
    tally.latency(time.time_ns() - sent_ns)


def enqueue_one(n: int) -> None:
    """One job."""
    queue.enqueue(f"{MODULE}.noop", *payload(n))


def enqueue_many(first: int, count: int) -> None:
    """A pipeline."""
    _many(f"{MODULE}.noop", first, count)


def enqueue_nap(n: int) -> None:
    """One job that waits."""
    queue.enqueue(f"{MODULE}.nap", *payload(n))


def enqueue_naps(first: int, count: int) -> None:
    """A pipeline of jobs that wait."""
    _many(f"{MODULE}.nap", first, count)


def enqueue_stamp(sent_ns: int) -> None:
    """One job that tells when it started."""
    queue.enqueue(f"{MODULE}.stamp", sent_ns)


def states() -> int:
    """Jobs that are finished."""
    return queue.finished_job_registry.count


def worker_argv(concurrency: int, variant: str) -> list[str]:
    """One worker: one job at a time; what its configuration imports, no fork has to import again."""
    del concurrency
    kind = ("-w", "rq.SimpleWorker") if variant else ()
    return command.program("rq", "worker", "--path", ".", "--config", MODULE, "--quiet", *kind, "bench")


def _many(function: str, first: int, count: int) -> None:
    queue.enqueue_many([Queue.prepare_data(function, payload(n)) for n in range(first, first + count)])


if __name__ == "__main__":
    command.main(
        CONTENDER,
        enqueue_one=enqueue_one,
        enqueue_many=enqueue_many,
        enqueue_nap=enqueue_nap,
        enqueue_naps=enqueue_naps,
        enqueue_stamp=enqueue_stamp,
        worker_argv=worker_argv,
        states=states,
    )
