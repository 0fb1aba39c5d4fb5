"""Who is measured: one file each, which speaks the command line of command.py."""
