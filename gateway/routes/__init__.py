"""The REST API, a file a resource: HTTP in and out, no logic."""
