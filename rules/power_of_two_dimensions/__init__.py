"""Sizes that matrix units take whole."""
