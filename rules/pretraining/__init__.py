"""What training starts from: weights learned elsewhere, or from the inputs alone."""
