"""Where jobs stand and stood: one job, lists, changes as they happen."""
