"""The scripts that decide about jobs, in Redis."""
