"""The weights before the first step, and the signal that they carry."""
