"""Users are told something: what was sent to whom, its cache, and the audit of who asked for it."""
