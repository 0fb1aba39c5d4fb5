"""Stored API keys: made and revoked over HTTP, in Postgres as SHA-256, in every gateway's memory."""
