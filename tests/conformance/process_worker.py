"""A worker process with children that a test may kill: `python -m tests.conformance.process_worker`."""

from shared.service import Service
from shared.settings import Settings
from tests.conformance.process_handlers import plain

if __name__ == "__main__":
    Service("lab", plain, Settings.load()).main()
