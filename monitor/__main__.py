"""`python -m monitor`: one process, the pages on PORT and the collector on OTLP_PORT."""

import asyncio
import signal
import sys

import uvloop

from monitor.app import CannotListen, Monitor
from monitor.settings import Settings
from monitor.traces.span_file import FileInUse
from shared.errors import SettingsError
from shared.telemetry import configure_logging

_WRONG_SETTING = 2


def main() -> int:
    """The exit code: 0 after SIGTERM or Ctrl-C, 2 when a setting is wrong, with one line that says which."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        return _refuse(error)
    configure_logging("monitor", level=settings.log_level, format=settings.log_format)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings))
    except (CannotListen, FileInUse) as error:
        return _refuse(error)
    except _FolderUnusable as error:
        return _refuse(f"MONITOR_DATA: {error}")
    return 0


class _FolderUnusable(Exception):
    """The folder of the traces cannot be made or written."""


async def _serve(settings: Settings) -> None:
    monitor = Monitor(settings)
    try:
        await monitor.open()
    except OSError as error:
        raise _FolderUnusable(f"{settings.monitor_data}: {error.strerror}") from error
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, monitor.stop)
    await monitor.run()


def _refuse(reason: Exception | str) -> int:
    sys.stderr.write(f"monitor: {reason}\n")
    return _WRONG_SETTING


if __name__ == "__main__":
    sys.exit(main())
