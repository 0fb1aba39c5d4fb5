"""What Trunkline does in a second, measured on the machine it runs on: `python -m bench`."""
