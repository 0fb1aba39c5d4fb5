"""Trunkline with its events on NATS JetStream; the state of jobs is on Redis as always."""

from bench.contenders.trunkline import ON_NATS, speak

if __name__ == "__main__":
    speak(ON_NATS, "bench.worker")
