"""Naming groups of parameters in a sentence."""


def listed(names: list[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def branch(module: str) -> str:
    """The part of the model, one level down, that a module belongs to."""
    return module.partition(".")[0]
