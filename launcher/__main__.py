"""`python -m launcher` is `trunkline`."""

from launcher.cli import main

main()
