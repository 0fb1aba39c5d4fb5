"""One worker process with the handler that does nothing; its settings come from the environment."""

from bench.lab import handlers
from shared.service import Service
from shared.settings import Settings

if __name__ == "__main__":
    Service("bench", handlers, Settings.load()).main()
