"""What is written about Trunkline, and what writes the generated part of it."""
