"""What a loop must do for any practice to count."""
