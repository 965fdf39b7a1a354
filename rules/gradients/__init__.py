"""What flows back from the loss to the weights."""
