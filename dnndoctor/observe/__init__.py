"""Windows on the loop: hooks that only look."""
