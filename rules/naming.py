"""How code for the user to paste names what is theirs."""


def attribute(path: str | None, owner: str = "model") -> str:
    """The Python expression for a module path: ``model.layers[0]`` for ``layers.0``."""
    steps = [f"[{each}]" if each.isdigit() else f".{each}" for each in (path or "").split(".") if each]
    return owner + "".join(steps)
