"""Where numbers stop being numbers."""
