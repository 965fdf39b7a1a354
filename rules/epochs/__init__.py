"""How long to train, what to keep, when to stop."""
