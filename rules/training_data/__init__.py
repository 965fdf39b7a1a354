"""What the network is fed with."""
