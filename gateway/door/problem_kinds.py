"""The kinds of problems. This table is the contract: `type` is `/problems/<slug>`; GET on it explains it."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: what its `type` names, and what its page says."""

    slug: str
    status: int
    title: str
    explanation: str

    @property
    def type(self) -> str:
        """The URI reference that names the kind, for ever."""
        return f"/problems/{self.slug}"


MALFORMED_JSON: Final = Kind(
    "malformed-json", 400, "The body is no JSON", "Send one JSON document in UTF-8, not nested too deeply."
)
INVALID_EVENT: Final = Kind(
    "invalid-event",
    400,
    "This is no CloudEvent",
    "CloudEvents attributes are missing or malformed; each pointer names the header (binary mode) or member.",
)
BAD_REQUEST: Final = Kind(
    "bad-request", 400, "The request is malformed", "The request breaks HTTP, or was cut off."
)
INVALID_IDEMPOTENCY_KEY: Final = Kind(
    "invalid-idempotency-key",
    400,
    "The Idempotency-Key is malformed",
    'Send one key of 1 to 255 printable ASCII characters, best in quotes: Idempotency-Key: "8e03978e-40d5".',
)
IDEMPOTENCY_KEY_NOT_TAKEN: Final = Kind(
    "idempotency-key-not-taken",
    400,
    "This request takes no Idempotency-Key",
    "Its answer holds a secret, and is kept nowhere. Send it without: its name makes it unique, so a repeat "
    "is answered with 409 and makes nothing.",
)
MISSING_KEY: Final = Kind(
    "missing-key", 401, "An API key is needed", "Send the header Authorization: Bearer <key>."
)
WRONG_KEY: Final = Kind(
    "wrong-key", 401, "The API key is not known", "The key is misspelt, revoked, or meant for another system."
)
KEY_IN_QUERY: Final = Kind(
    "key-in-query",
    401,
    "A key in the URL is refused",
    "URLs end up in logs and histories. Replace the key that was sent, and send the new one as a header.",
)
WRONG_SCOPE: Final = Kind(
    "wrong-scope",
    403,
    "The API key may not do this",
    "The member `scope` names what the key lacks: publish, read, operate or admin.",
)
NOT_FOUND: Final = Kind(
    "not-found", 404, "There is nothing here", "The path is misspelt, or the thing it names does not exist."
)
METHOD_NOT_ALLOWED: Final = Kind(
    "method-not-allowed", 405, "The method is not allowed here", "The header Allow lists those that are."
)
CONFLICT: Final = Kind(
    "conflict", 409, "The state does not allow this", "Look at the resource's present state, then decide."
)
DUPLICATE_EMAIL: Final = Kind(
    "duplicate-email",
    409,
    "The address is taken",
    "A user with this email exists; upper and lower case count alike.",
)
ID_TAKEN: Final = Kind(
    "id-taken",
    409,
    "Another event has this id",
    "An event of this id but with other content was accepted before. Nothing of the request was accepted.",
)
SCHEDULE_EXISTS: Final = Kind(
    "schedule-exists",
    409,
    "A schedule of this name exists",
    "Edit it with PATCH, or choose another name.",
)
KEY_NAME_TAKEN: Final = Kind(
    "key-name-taken",
    409,
    "An API key of this name exists",
    "Choose another name, or revoke that key first: an expired one holds its name until it is revoked.",
)
KEY_OF_SETTING: Final = Kind(
    "key-of-setting",
    409,
    "The key is of the setting API_KEYS",
    "Take it out of API_KEYS and restart the gateways; only stored keys are revoked here.",
)
EDITED_MEANWHILE: Final = Kind(
    "edited-meanwhile",
    412,
    "It was edited meanwhile",
    "The ETag in If-Match is not that of the present state. Read it again, and repeat the edit on that.",
)
IF_MATCH_REQUIRED: Final = Kind(
    "if-match-required",
    428,
    "If-Match is missing",
    "Send the ETag of what you read as If-Match, so that no edit of somebody else is lost; or If-Match: *.",
)
IDEMPOTENCY_KEY_IN_FLIGHT: Final = Kind(
    "idempotency-key-in-flight",
    409,
    "A request with this Idempotency-Key is in flight",
    "Repeat the same request after Retry-After seconds; it gets the answer of the one that is in flight.",
)
UNIQUE_KEY_IN_FLIGHT: Final = Kind(
    "unique-key-in-flight",
    409,
    "A request with this unique_key is in flight",
    "Repeat the request after Retry-After seconds: by then the other one is committed, and its job stands "
    "for yours, or it has failed.",
)
PRECONDITION_FAILED: Final = Kind(
    "precondition-failed",
    412,
    "It is not as If-Match or If-None-Match expects",
    "Somebody else changed it. Read it again, then decide; ETag names its present state.",
)
BODY_TOO_LARGE: Final = Kind(
    "body-too-large", 413, "The body is too large", "The setting BODY_MAX limits a request's body."
)
FILE_TOO_LARGE: Final = Kind(
    "file-too-large",
    413,
    "The file is too large",
    "The setting FILE_MAX_BYTES limits a file; nothing was kept.",
)
UPLOAD_STALLED: Final = Kind(
    "upload-stalled",
    408,
    "The upload stood still",
    "For a minute no byte of the file came; nothing was kept. Send it again.",
)
DIGEST_MISMATCH: Final = Kind(
    "digest-mismatch",
    422,
    "The file is not what its digest says",
    "The sha-256 of Repr-Digest or Content-Digest is that of other bytes; nothing was kept. Send it again.",
)
RANGE_UNSATISFIABLE: Final = Kind(
    "range-unsatisfiable",
    416,
    "The range lies behind the end",
    "The header Content-Range of the answer tells how many bytes there are.",
)
EVENT_TOO_LARGE: Final = Kind(
    "event-too-large",
    413,
    "The event is too large",
    "The setting EVENT_MAX limits an event: a bus takes no more.",
)
UNSUPPORTED_MEDIA_TYPE: Final = Kind(
    "unsupported-media-type", 415, "The body's media type is not understood", "The detail says what is."
)
INVALID: Final = Kind(
    "invalid", 422, "The request does not fit its schema", "Each entry of `errors` points to one fault."
)
IDEMPOTENCY_KEY_REUSED: Final = Kind(
    "idempotency-key-reused",
    422,
    "The Idempotency-Key belongs to another request",
    "A key stands for one request: same path, query, content type, ce- headers and body, byte for byte. "
    "Send a new request with a new key.",
)
UNKNOWN_TYPE: Final = Kind(
    "unknown-type", 422, "No such event type", "The member `known` lists the types that are accepted."
)
UNKNOWN_USER: Final = Kind("unknown-user", 422, "No such user", "Register the user first: POST /v1/users.")
UNKNOWN_SKU: Final = Kind(
    "unknown-sku",
    422,
    "No such product",
    "Each pointer names a sku that is not in the catalogue; PUT /v1/products/{sku} enters one.",
)
UNKNOWN_HANDLER: Final = Kind(
    "unknown-handler",
    422,
    "No such handler",
    "The member `known` lists the handlers that have announced themselves; a service does so when it starts.",
)
INVALID_DATA: Final = Kind(
    "invalid-data", 422, "The event's data breaks its contract", "Each entry of `errors` points to one fault."
)
TOO_MANY_STREAMS: Final = Kind(
    "too-many-streams",
    429,
    "Too many streams are open",
    "Each API key may follow STREAMS_PER_KEY jobs at a time. Close one, or ask for the job's state instead.",
)
JOB_NOT_LIVE: Final = Kind(
    "job-is-final",
    409,
    "The job has ended",
    "What has ended cannot be cancelled; `detail` tells how.",
)
JOB_NOT_ENDED: Final = Kind(
    "job-cannot-run-again",
    409,
    "The job did not fail",
    "Only a dead, cancelled or expired job runs again; publish a new event for another run.",
)
EVENT_GONE: Final = Kind(
    "event-gone",
    409,
    "The job's event is not known",
    "What came was no event (see the dead letter's raw bytes), or it was removed. Publish it again.",
)
REPORT_NOT_READY: Final = Kind(
    "report-not-ready",
    409,
    "The report has no file",
    "It is being made, or cannot be made: its `status` and `reason` tell. Wait, or ask for another.",
)
REPORT_REMOVED: Final = Kind(
    "report-removed",
    410,
    "The report is not kept any more",
    "Reports are kept for REPORT_TTL. Ask for it again.",
)
INTERNAL: Final = Kind(
    "internal", 500, "We failed", "A defect of ours; give `trace_id` to who runs this system."
)
UNAVAILABLE: Final = Kind(
    "unavailable",
    503,
    "Something we need is away",
    "Nothing may have been done. Repeat the request after Retry-After seconds; events by the same id.",
)

KINDS: Final = {
    kind.slug: kind
    for kind in (
        MALFORMED_JSON,
        INVALID_EVENT,
        BAD_REQUEST,
        INVALID_IDEMPOTENCY_KEY,
        IDEMPOTENCY_KEY_NOT_TAKEN,
        MISSING_KEY,
        WRONG_KEY,
        KEY_IN_QUERY,
        WRONG_SCOPE,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        CONFLICT,
        DUPLICATE_EMAIL,
        ID_TAKEN,
        SCHEDULE_EXISTS,
        KEY_NAME_TAKEN,
        KEY_OF_SETTING,
        EDITED_MEANWHILE,
        IF_MATCH_REQUIRED,
        IDEMPOTENCY_KEY_IN_FLIGHT,
        UNIQUE_KEY_IN_FLIGHT,
        PRECONDITION_FAILED,
        BODY_TOO_LARGE,
        FILE_TOO_LARGE,
        UPLOAD_STALLED,
        DIGEST_MISMATCH,
        RANGE_UNSATISFIABLE,
        EVENT_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE,
        INVALID,
        IDEMPOTENCY_KEY_REUSED,
        UNKNOWN_TYPE,
        UNKNOWN_USER,
        UNKNOWN_SKU,
        UNKNOWN_HANDLER,
        INVALID_DATA,
        TOO_MANY_STREAMS,
        JOB_NOT_LIVE,
        JOB_NOT_ENDED,
        EVENT_GONE,
        REPORT_NOT_READY,
        REPORT_REMOVED,
        INTERNAL,
        UNAVAILABLE,
    )
}
