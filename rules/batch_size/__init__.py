"""How many samples make one update."""
