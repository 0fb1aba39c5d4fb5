"""Job ids in, what Redis knows of these jobs out."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.bus.redis_streams import RedisClient
from shared.bus.redis_streams.queue_keys import mark_of
from shared.clock import rfc3339
from shared.jobs import keys
from shared.jobs.control import CANCELLING
from shared.telemetry import trace_id_of


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One job as it stands in Redis. Instants are aware and in UTC."""

    id: str
    handler: str
    service: str
    event_id: str
    event_type: str
    state: str
    attempt: int
    max_attempts: int
    worker: str | None
    version: str | None = None
    """That of the worker."""
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime | None
    progress: dict[str, Any] | None
    result: msgspec.Raw | None
    """What the handler returned, as JSON."""
    error: dict[str, Any] | None
    """`type`, `message` and `stack` of the last failed attempt."""
    attempts: list[dict[str, Any]]
    """The attempts that failed, oldest first."""
    caused: list[dict[str, str]]
    """`id` and `type` of the events that the handler returned; of a group, of its first 1,000."""
    caused_events: bytes | None = None
    """These events whole, as a CloudEvents JSON batch; None once they are recorded."""
    caused_places: dict[str, str] | None = None
    """Where these events were published, by id; None once they are recorded."""
    group: bytes | None = None
    """The group that the job opened, for decode_group(); None once it is recorded."""
    reason: str | None
    """Why the job is dead."""
    traceparent: str | None
    event: bytes | None
    """The event, as CloudEvents JSON; None for bytes that were no event."""
    raw: str | None
    """Base64 of the bytes that were no event."""
    channel: str | None
    """The stream or subject that those bytes lay on."""

    @property
    def trace_id(self) -> str | None:
        """The trace that the event was created in."""
        return trace_id_of(self.traceparent)

    def to_api(self) -> dict[str, Any]:
        """The job as the REST API shows it."""
        return {
            "id": self.id,
            "handler": self.handler,
            "service": self.service,
            "state": self.state,
            "attempt": self.attempt,
            "max_attempts": self.max_attempts,
            "progress": self.progress,
            "result": msgspec.json.decode(self.result) if self.result else None,
            "error": self.error,
            "reason": self.reason,
            "queued_at": _text(self.queued_at),
            "started_at": _text(self.started_at),
            "finished_at": _text(self.finished_at),
            "due_at": _text(self.due_at),
            "worker": self.worker,
            "trace_id": self.trace_id,
            "event_id": self.event_id,
            "event_type": self.event_type,
            "attempts": self.attempts,
            "caused": self.caused,
        }


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Who has a job, and what its handler's rate says."""

    is_known: bool
    """Whether Redis knows the job at all."""
    lease_until: datetime | None
    is_cancelling: bool
    rate_due_at: datetime | None
    """When the handler's next start would be due if all came evenly; None without a rate, or long since."""


class JobReader:
    """Reads jobs; writes nothing."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def get(self, job_ids: Sequence[str]) -> list[JobRecord | None]:
        """The jobs in this order, None for those that Redis does not know; one round trip."""
        if not job_ids:
            return []
        pipe = self._redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.hgetall(keys.job(*keys.split_job_id(job_id)))
        return [
            record(job_id, fields) if fields else None
            for job_id, fields in zip(job_ids, await pipe.execute(), strict=True)
        ]

    async def states(self, job_ids: Sequence[str]) -> list[str | None]:
        """Where the jobs stand, in this order, None for those that Redis does not know; one round trip.

        A running job that is to be cancelled counts as CANCELLING.
        """
        if not job_ids:
            return []
        pipe = self._redis.pipeline(transaction=False)
        for handler, event_id in map(keys.split_job_id, job_ids):
            pipe.hget(keys.job(handler, event_id), "state")
            pipe.sismember(keys.cancelling(handler), event_id)
        replies = iter(await pipe.execute())
        return [
            CANCELLING if is_cancelling else state.decode() if state else None
            for state, is_cancelling in zip(replies, replies, strict=True)
        ]

    async def hold(self, job_id: str) -> Hold:
        """What is beside the job's hash; one round trip. ValueError when it is no job id."""
        handler, event_id = keys.split_job_id(job_id)
        pipe = self._redis.pipeline(transaction=False)
        pipe.exists(keys.job(handler, event_id))
        pipe.zscore(keys.running(handler), event_id)
        pipe.sismember(keys.cancelling(handler), event_id)
        pipe.get(keys.rate(handler))
        is_known, lease_ms, is_cancelling, rate_us = await pipe.execute()
        return Hold(
            is_known=bool(is_known),
            lease_until=datetime.fromtimestamp(lease_ms / 1000, UTC) if lease_ms else None,
            is_cancelling=bool(is_cancelling),
            rate_due_at=datetime.fromtimestamp(int(rate_us) / 1_000_000, UTC) if rate_us else None,
        )

    async def is_enqueued(self, job_id: str) -> bool:
        """Whether it was put onto its handler's queue by name, lately; no worker may have taken it yet."""
        return bool(await self._redis.exists(mark_of(*keys.split_job_id(job_id))))


def record(job_id: str, fields: Mapping[bytes, bytes]) -> JobRecord:
    """The hash of a job as a record."""
    handler, event_id = keys.split_job_id(job_id)
    result = fields.get(b"result")
    return JobRecord(
        id=job_id,
        handler=handler,
        service=_str(fields, b"service") or handler.partition(".")[0],
        event_id=event_id,
        event_type=_str(fields, b"event_type") or "",
        state=_str(fields, b"state") or "",
        attempt=int(fields.get(b"attempt", b"0")),
        max_attempts=int(fields.get(b"max_attempts", b"0")),
        worker=_str(fields, b"worker"),
        version=_str(fields, b"version"),
        queued_at=_instant(fields, b"queued_at"),
        started_at=_instant(fields, b"started_at"),
        finished_at=_instant(fields, b"finished_at"),
        due_at=_instant(fields, b"due_at"),
        progress=_json(fields, b"progress"),
        result=msgspec.Raw(result) if result else None,
        error=_json(fields, b"error"),
        attempts=[_attempt(line) for line in fields.get(b"attempts", b"").splitlines() if line],
        caused=_json(fields, b"caused") or [],
        caused_events=fields.get(b"caused_events"),
        caused_places=_json(fields, b"caused_places"),
        group=fields.get(b"group"),
        reason=_str(fields, b"reason"),
        traceparent=_str(fields, b"traceparent"),
        event=fields.get(b"event"),
        raw=_str(fields, b"raw"),
        channel=_str(fields, b"channel"),
    )


def _attempt(line: bytes) -> dict[str, Any]:
    """A failed attempt, its instants as RFC 3339; the scripts keep them in ms."""
    try:
        attempt: dict[str, Any] = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    for name in ("started_at", "finished_at"):
        if isinstance(attempt.get(name), int):
            attempt[name] = rfc3339(datetime.fromtimestamp(attempt[name] / 1000, UTC))
    return attempt


def _str(fields: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = fields.get(name)
    return value.decode() if value else None


def _json(fields: Mapping[bytes, bytes], name: bytes) -> Any:
    """The value, or None where somebody wrote what is no JSON: one field must not hide a job."""
    value = fields.get(name)
    try:
        return msgspec.json.decode(value) if value else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _instant(fields: Mapping[bytes, bytes], name: bytes) -> datetime | None:
    value = fields.get(name)
    return datetime.fromtimestamp(int(value) / 1000, UTC) if value else None


def _text(instant: datetime | None) -> str | None:
    return rfc3339(instant) if instant else None
