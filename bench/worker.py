"""One worker process with the handlers that are measured; its settings come from the environment."""

from bench.contenders.trunkline import handlers
from shared.service import Service
from shared.settings import Settings

if __name__ == "__main__":
    Service("bench", handlers, Settings.load()).main()
