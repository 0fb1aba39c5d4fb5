"""RQ behind FastAPI: a checked body in, one job enqueued.

Its client blocks the event loop for a round trip: a thread for each request costs more.
"""

from fastapi import FastAPI

from bench.contenders import rq as contender
from bench.doors.parcel import Accepted, Parcel

app = FastAPI(openapi_url=None)


@app.post("/v1/events", status_code=202)
async def take(parcel: Parcel) -> Accepted:
    """One job."""
    job = contender.queue.enqueue(f"{contender.MODULE}.noop", **parcel.model_dump())
    return Accepted(id=job.id)
