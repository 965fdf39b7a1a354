"""What bends the signal between the layers."""
