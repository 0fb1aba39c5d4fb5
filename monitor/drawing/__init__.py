"""Templates, words and drawings."""
