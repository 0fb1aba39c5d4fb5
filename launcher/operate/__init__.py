"""Commands that look after a running system, each by way of the gateway's API: `trunkline jobs ls`, ..."""

from launcher.operate.late import LateCommands

__all__ = ["LateCommands"]
