"""The whole story in one command: a user, an order, a file, a report and a schedule, from an empty system."""

from launcher.demo.command import main

__all__ = ["main"]
