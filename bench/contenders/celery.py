"""Celery: jobs through its Redis transport, results in its Redis backend."""

import os
import time

from celery import Celery

from bench import tally
from bench.contenders import command
from bench.contenders.command import Contender, payload

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
CONTENDER = Contender(
    title="Celery",
    packages=("celery", "kombu", "redis"),
    note=(
        "prefork -c 1, or threads (faster here than its gevent pool); task_acks_late; prefetch 128 per slot, "
        "as its optimizing guide advises for short jobs; no gossip, mingle or heartbeat; JSON; logs of "
        "warnings only; bulk by Producer.batch of Kombu"
    ),
    variants={"": {}, "threads": {}},
    acknowledges=True,
    keeps_result=True,
)

app = Celery("bench", broker=URL, backend=URL)
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=128,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=True,
)


@app.task(name="noop")
def noop(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """No work at all."""
    del parcel_id, note
    tally.hit()
    return {"taken": sku}


@app.task(name="nap")
def nap(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """Wait, as for an answer from elsewhere."""
    del parcel_id, note
    time.sleep(command.NAP_S)
    tally.hit()
    return {"taken": sku}


@app.task(name="stamp")
def stamp(sent_ns: int) -> None:
    """Tell how long ago this was sent."""
    tally.latency(time.time_ns() - sent_ns)


def enqueue_one(n: int) -> None:
    """One job."""
    noop.delay(*payload(n))


def enqueue_many(first: int, count: int) -> None:
    """A pipeline of LPUSH."""
    _many(noop, first, count)


def enqueue_nap(n: int) -> None:
    """One job that waits."""
    nap.delay(*payload(n))


def enqueue_naps(first: int, count: int) -> None:
    """A pipeline of jobs that wait."""
    _many(nap, first, count)


def enqueue_stamp(sent_ns: int) -> None:
    """One job that tells when it started."""
    stamp.delay(sent_ns)


def states() -> int:
    """Results in the backend."""
    with app.backend.client.pipeline(transaction=False) as pipe:
        for key in app.backend.client.scan_iter("celery-task-meta-*", count=5000):
            pipe.get(key)
        return sum(b'"status": "SUCCESS"' in record for record in pipe.execute())


def worker_argv(concurrency: int, variant: str) -> list[str]:
    """Prefork with one child; or so many threads."""
    pool = ("--pool", "threads", "--concurrency", str(concurrency)) if variant else ("--concurrency", "1")
    return command.program(
        "celery", "-A", "bench.contenders.celery", "worker", *pool,
        "--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat",
    )  # fmt: skip


def _many(task: object, first: int, count: int) -> None:
    with app.producer_pool.acquire(block=True) as producer, producer.batch():
        for n in range(first, first + count):
            task.apply_async(payload(n), producer=producer)


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
