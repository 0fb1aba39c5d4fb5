"""The library that every service stands on; it knows no service."""
