"""Finds what is wrong with a PyTorch training run and says how to mend it."""

__version__ = "0.1.0"
