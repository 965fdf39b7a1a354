"""Hidden units and layers: whether the model can hold what it is to learn."""
