"""Dramatiq: jobs through the scripts of its Redis broker, results by its middleware."""

import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench import tally
from bench.contenders import command
from bench.contenders.command import Contender, payload

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
CONTENDER = Contender(
    title="Dramatiq",
    packages=("dramatiq", "redis", "gevent"),
    note=(
        "one process of 8 threads, its default, or gevent; its default middleware and Results in Redis; "
        "JSON; no logs; nothing enqueues in bulk"
    ),
    variants={"": {}, "gevent": {}},
    acknowledges=True,
    keeps_result=True,
)

# Each greenlet uses a connection, and the pool of redis-py ends at 100.
ROOMY = f"{URL}?max_connections=1024"
broker = RedisBroker(url=ROOMY)
results = RedisBackend(url=ROOMY, use_namespace_prefix_keys=True)
broker.add_middleware(Results(backend=results, store_results=True))
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="noop")
def noop(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """No work at all."""
    del parcel_id, note
    tally.hit()
    return {"taken": sku}


@dramatiq.actor(actor_name="nap")
def nap(parcel_id: str, sku: str, note: str) -> dict[str, str]:
    """Wait, as for an answer from elsewhere; gevent's patch makes it cooperative."""
    del parcel_id, note
    time.sleep(command.NAP_S)
    tally.hit()
    return {"taken": sku}


@dramatiq.actor(actor_name="stamp", store_results=False)
def stamp(sent_ns: int) -> None:
    """Tell how long ago this was sent."""
    tally.latency(time.time_ns() - sent_ns)


def enqueue_one(n: int) -> None:
    """One job."""
    noop.send(*payload(n))


def enqueue_nap(n: int) -> None:
    """One job that waits."""
    nap.send(*payload(n))


def enqueue_stamp(sent_ns: int) -> None:
    """One job that tells when it started."""
    stamp.send(sent_ns)


def states() -> int:
    """Results that are kept: a list of one for each job."""
    return sum(1 for _ in broker.client.scan_iter("dramatiq-results:*", count=5000))


def worker_argv(concurrency: int, variant: str) -> list[str]:
    """One process of its command line."""
    name, threads = ("dramatiq-gevent", str(concurrency)) if variant else ("dramatiq", "8")
    return command.program(name, "bench.contenders.dramatiq", "-p", "1", "-t", threads, "--skip-logging")


if __name__ == "__main__":
    command.main(
        CONTENDER,
        enqueue_one=enqueue_one,
        enqueue_nap=enqueue_nap,
        enqueue_stamp=enqueue_stamp,
        worker_argv=worker_argv,
        states=states,
    )
