"""Changes of how a weight is drawn."""

from collections.abc import Iterable

from dnndoctor.changes import Change, InsertBefore, Rewrite
from dnndoctor.measurements import Layer, Optimizers, Parameter
from dnndoctor.rules.naming import attribute
from dnndoctor.rules.weight_initialization.scale import RECTIFIERS

MOST_LINES = 8  # of new code; more layers want a loop, which is for a person to write
SETTINGS = tuple("1 2 3 val mean std a b gain mode nonlinearity generator".split())


def call_for(layer: Layer, weight: str) -> str:
    """The call of ``torch.nn.init`` that draws the weight to the size that its layer and activation ask for."""
    if layer.activation in ("tanh", "softsign"):
        return f"torch.nn.init.xavier_uniform_({weight})"
    if layer.activation == "sigmoid":
        return f"torch.nn.init.xavier_uniform_({weight}, gain=4)"
    kind = "relu" if layer.activation in RECTIFIERS else "linear"
    return f'torch.nn.init.kaiming_normal_({weight}, nonlinearity="{kind}")'


def redrawn(layers: Iterable[tuple[Layer, Parameter]], optimizers: Optimizers | None) -> tuple[Change, ...]:
    """Where the script draws these weights itself, another call; else further calls behind the model's end."""
    pairs = list(layers)
    layer, weight = pairs[0]
    if weight.initialized_at is not None and all(p.initialized_at == weight.initialized_at for _, p in pairs):
        # A vector has no fan-in, and stays as it was. The line draws other layers too, which fans tell apart.
        code = call_for(layer, "{0}")
        code = f"{code} if {{0}}.dim() > 1 else {{it}}" if weight.with_vectors else code
        return (Rewrite(code, at=weight.initialized_at, dropping=SETTINGS),)
    main = optimizers.main if optimizers is not None and optimizers.all else None
    if main is None or main.location is None or main.name == "updates by hand" or len(pairs) > MOST_LINES:
        return ()
    lines = [call_for(each, f"{attribute(each.name)}.weight") for each, _ in pairs]
    return (InsertBefore("\n".join(lines), at=main.location),)
