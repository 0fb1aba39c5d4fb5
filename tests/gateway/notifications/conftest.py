"""The door, with users who are told something."""

from tests.gateway.door import conftest as door

settings = door.settings
client = door.client
query = door.query
redis = door.redis
