from collections.abc import Iterator

from dnndoctor.changes import Hoist, Safety
from dnndoctor.findings import Evidence, Finding, Fix, Severity
from dnndoctor.measurements import BuiltInForward, Construction
from dnndoctor.rule import rule

NORMS = ("LayerNorm", "GroupNorm", "RMSNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")


@rule("OPT109", Severity.ERROR, practice="learning-method")
def modules_built_in_forward(construction: Construction, *, fewest_steps: int = 2) -> Iterator[Finding]:
    """A layer with weights is built anew in every forward pass, so that nothing it learns is kept.

    What it measures
        Modules with trainable parameters that a model's own ``forward`` constructs and calls, and in how many of the
        watched steps it did. Layers that are built once, at the first pass, and what libraries build for themselves
        are left out. Norms that treat each sample by itself are reported as a warning: with fresh weights they still
        normalise.

    Why it matters
        Each pass draws new random weights. No optimizer ever met them, so the model is trained around noise.

    How to fix it
        Build the layer in ``__init__`` and keep it as an attribute; ``nn.LazyLinear`` and its like find their input
        size at the first pass.

    When to ignore it
        Random projections that are meant to be fresh each time; then draw a tensor instead.

    References
        PyTorch documentation, torch.nn.Module: submodules are assigned in ``__init__`` to be registered.
        fewest_steps: 2, arithmetic: what is built once and kept is built in one step.
    """
    for each in construction.built_in_forward:
        if each.steps >= fewest_steps:
            yield _finding(each)


def _finding(each: BuiltInForward) -> Finding:
    return Finding(
        f"a new {each.layer} with {each.parameters} weights was built in the forward pass of {each.holder} in each of "
        f"{each.steps} steps: what it learns is thrown away",
        location=each.location,
        subject=each.holder,
        evidence=(Evidence("steps with a new layer", each.steps, 0), Evidence("layers built", each.times, 1)),
        fix=Fix(
            f"build the {each.layer} once, in __init__",
            f"Its {each.parameters} weights are then the same in every pass, and the optimizer can train them.",
            f"self.layer = nn.{each.layer}(...)  # in __init__; in forward: self.layer(x)",
            (Hoist(each.layer.lower(), each.arguments, of=(each.layer,), safety=Safety.SAFE),),
        ),
        severity=Severity.WARNING if set(each.kinds) <= set(NORMS) else None,
    )
