"""`python -m report_service`: run the service until SIGTERM; a wrong setting is one line and exit code 2."""

import sys

from shared.errors import SettingsError


def main() -> None:
    """Run the service; the import builds it, and with it reads its settings."""
    try:
        from report_service.app import app  # noqa: PLC0415 - a wrong setting must end in one line, not a traceback
    except SettingsError as error:
        print(f"report: {error}", file=sys.stderr)  # noqa: T201 - no log is configured yet
        sys.exit(2)
    app.main()


if __name__ == "__main__":
    main()
