"""The composition root: `faststream run file_service.app:app` and `python -m file_service` run it."""

from file_service.handlers import SETTINGS, handlers
from shared.service import Service

app = Service("file", handlers, SETTINGS)
