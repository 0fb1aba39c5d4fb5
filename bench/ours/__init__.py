"""Our own system, whole or in parts, for the figures that are about it alone."""

from bench.ours.lab import Lab

__all__ = ["Lab"]
