"""Valves: one experiment per file; each leaves everything as it was."""
