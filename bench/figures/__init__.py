"""What is measured: one file each, which makes steps of a run."""
