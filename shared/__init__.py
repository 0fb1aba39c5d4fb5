"""The library that every service stands on; it knows no service."""

from importlib.metadata import version

VERSION = version("trunkline")
