"""A FastAPI application that reads a body and answers: the ceiling of every door."""

from fastapi import FastAPI, Request, Response

app = FastAPI(openapi_url=None)


@app.post("/v1/events", status_code=202)
async def take(request: Request) -> Response:
    """Read the body, answer."""
    await request.body()
    return Response(b"{}", status_code=202, media_type="application/json")
