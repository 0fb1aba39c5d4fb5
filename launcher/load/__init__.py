"""`trunkline load`: mixed traffic at a steady rate for a running system, to watch it at work."""

from launcher.load.command import load
from launcher.load.options import LoadOptions

__all__ = ["LoadOptions", "load"]
