"""The report service, on a real Postgres and a folder of objects."""
