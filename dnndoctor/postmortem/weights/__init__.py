"""Checkpoints, read tensor by tensor in a process of their own that can neither write nor start anything.

Nothing of a checkpoint is executed: pickles go through ``torch.load(weights_only=True)``, whose unpickler builds
tensors and plain containers only, and what asks for more is refused.
"""
