"""FastAPI applications that take the same body on POST /v1/events and enqueue one job, as their users do."""
