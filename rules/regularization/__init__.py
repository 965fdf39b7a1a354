"""Dropout, normalization and the mode that they are in."""
