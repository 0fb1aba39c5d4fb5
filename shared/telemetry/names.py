"""The names of metrics, spans and attributes; a name that is not here is not emitted.

Spans follow OpenTelemetry's conventions for messaging (in development), HTTP and databases (stable), and
CloudEvents.
Metrics are the same in Prometheus' spelling: dots become underscores, and the unit is the suffix.
"""

from typing import Final

# Resource
SERVICE_NAME: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
NAMESPACE: Final = "trunkline"

# Any span
ERROR_TYPE: Final = "error.type"
EXCEPTION: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

# HTTP
HTTP_REQUEST_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
URL_PATH: Final = "url.path"
URL_SCHEME: Final = "url.scheme"
OTHER_METHOD: Final = "_OTHER"  # what the convention calls a method that HTTP does not define
KNOWN_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)

# Databases
DB_SYSTEM_NAME: Final = "db.system.name"
DB_OPERATION_NAME: Final = "db.operation.name"
DB_COLLECTION_NAME: Final = "db.collection.name"
DB_QUERY_SUMMARY: Final = "db.query.summary"
LEDGER_COMMIT: Final = "COMMIT gateway.events"

# Messaging
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_OPERATION_NAME: Final = "messaging.operation.name"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_DESTINATION_NAME: Final = "messaging.destination.name"
MESSAGING_CONSUMER_GROUP_NAME: Final = "messaging.consumer.group.name"
MESSAGING_MESSAGE_ID: Final = "messaging.message.id"
MESSAGING_BATCH_MESSAGE_COUNT: Final = "messaging.batch.message_count"
CREATE: Final = "create"
SEND: Final = "send"
PROCESS: Final = "process"

# CloudEvents
CLOUDEVENTS_EVENT_ID: Final = "cloudevents.event_id"
CLOUDEVENTS_EVENT_SOURCE: Final = "cloudevents.event_source"
CLOUDEVENTS_EVENT_TYPE: Final = "cloudevents.event_type"
CLOUDEVENTS_EVENT_SPEC_VERSION: Final = "cloudevents.event_spec_version"
CLOUDEVENTS_VERSION: Final = "1.0"

# Trunkline
TRUNKLINE_JOB_ID: Final = "trunkline.job.id"
TRUNKLINE_JOB_ATTEMPT: Final = "trunkline.job.attempt"
TRUNKLINE_HANDLER: Final = "trunkline.handler"
RUN: Final = "run"
PROCESS_PID: Final = "process.pid"
SMTP_SEND: Final = "SMTP send"

# Metrics
JOBS: Final = "trunkline_jobs"
JOBS_IN_FLIGHT: Final = "trunkline_jobs_in_flight"
BUILD: Final = "trunkline_build"
PROCESS_DURATION: Final = "messaging_process_duration_seconds"
SENT_MESSAGES: Final = "messaging_client_sent_messages"
CONSUMED_MESSAGES: Final = "messaging_client_consumed_messages"
HTTP_REQUEST_DURATION: Final = "http_server_request_duration_seconds"
DURATION_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
