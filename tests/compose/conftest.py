"""compose.yaml, looked at and, with TRUNKLINE_TEST_COMPOSE=1, brought up: `make compose-test`.

COMPOSE_FILE and COMPOSE_ENV_FILES lay other files over it, as they do for `docker compose` itself.
"""

import os

collect_ignore = [] if os.environ.get("TRUNKLINE_TEST_COMPOSE") else ["test_running_system.py"]
