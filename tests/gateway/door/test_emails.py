from httpx import AsyncClient

from shared.bus.redis_streams import RedisClient
from shared.contracts import EmailRequested
from shared.jobs import Handlers, Registry, WorkerRecord
from shared.settings import Settings
from tests.gateway.door.conftest import Query
from tests.until import until


async def test_a_requested_mail_is_accepted_and_committed(client: AsyncClient, query: Query) -> None:
    answer = await client.post(
        "/v1/emails", json={"to": "ada@example.org", "template": "welcome", "fields": {"name": "Ada", "n": 1}}
    )

    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    body = answer.json()
    assert body["status"] == "requested"
    assert answer.headers["location"] == f"/v1/events/{body['event_id']}"
    [row] = await query("SELECT type, data FROM gateway.events WHERE id::text = $1", body["event_id"])
    event = EmailRequested.model_validate_json(row["data"])
    assert (event.email_id, event.to, event.fields) == (
        body["id"],
        "ada@example.org",
        {"name": "Ada", "n": 1},
    )


async def test_the_location_is_the_job_where_one_handler_sends_the_mail(
    client: AsyncClient, redis: RedisClient
) -> None:
    handlers = Handlers("email")

    @handlers.on(EmailRequested)
    async def send(event: EmailRequested) -> None:
        del event

    worker = WorkerRecord(
        id="w", service="email", version="1", handlers=["email.send"], host="h", pid=1, started_at="now"
    )
    await Registry(redis).announce(list(handlers), worker, lease=Settings().lease)

    async def known() -> str:
        answer = await client.post("/v1/emails", json={"to": "a@b.test", "subject": "Hello", "text": "Good"})
        jobs = answer.json()["jobs"]
        return answer.headers["location"] if jobs and jobs[0]["handler"] == "email.send" else ""

    location = await until(known)
    assert location.startswith("/v1/jobs/email.send:")
