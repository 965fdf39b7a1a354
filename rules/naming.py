"""How sentences, and code for the user to paste, name what is theirs."""


def attribute(path: str | None, owner: str = "model") -> str:
    """The Python expression for a module path: ``model.layers[0]`` for ``layers.0``."""
    steps = [f"[{each}]" if each.isdigit() else f".{each}" for each in (path or "").split(".") if each]
    return owner + "".join(steps)


def listed(names: list[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
