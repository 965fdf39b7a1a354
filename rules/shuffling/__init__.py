"""The order in which samples come."""
