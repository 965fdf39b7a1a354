"""Kinds of training, as settings and reports name them."""

FAMILIES = ("supervised", "gan", "reinforcement", "contrastive", "variational", "diffusion", "fine-tuning")
