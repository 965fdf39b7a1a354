"""The parts of a model by name."""


def branch(module: str) -> str:
    """The part of the model, one level down, that a module belongs to."""
    return module.partition(".")[0]
