"""Where the arithmetic is done."""
