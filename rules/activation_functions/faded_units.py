from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Snapshots
from dnndoctor.rule import rule


@rule("ACT109", Severity.INFO, practice="activation-functions")
def faded_units(
    snapshots: Snapshots, *, many: float = 0.25, most: float = 0.50, fewest_units: int = 32
) -> Iterator[Finding]:
    """Many units of a layer have weights of next to nothing.

    What it measures
        In the newest checkpoint, the rows of each matrix of weights that are 1000 times smaller than the median row. It
        is a warning for half of them, or if the first checkpoint had none of these. Left out: embeddings, tables,
        adapters, depthwise kernels, and tensors that are zero as a whole.

    Why it matters
        A unit whose inputs stay silent, or that is never active, gets no gradient, and weight decay takes away what it
        had: the layer is narrower than it looks.

    How to fix it
        Lower the rate at which they died, or the weight decay; another activation function keeps units alive; a
        narrower layer costs less.

    When to ignore it
        Units were pruned on purpose.

    References
        Maas, Hannun & Ng 2013, Rectifier nonlinearities improve neural network acoustic models.
        Mehta et al. 2019, On implicit filter level sparsity in convolutional networks: up to some 15 % in sound ones.
        many: 0.25, measured: none in 17 sound trainings and two released models, 0.20 to 0.36 where AdamW decays by 20.
        most: 0.50, this project's choice: half of the layer.
        fewest_units: 32, this project's choice: of fewer, some may be off by chance.
    """
    judged = [each for each in snapshots.all[-1].weights if each.quiet is not None and each.shape[0] >= fewest_units]
    if not judged:
        raise NotApplicable(f"no layer of {fewest_units} units and more was read")
    found = [each for each in judged if (each.quiet or 0.0) >= many]
    if not found:
        return
    worst = max(found, key=lambda each: each.quiet or 0.0)
    share = worst.quiet or 0.0
    before = next((first.quiet for first, last in snapshots.pairs if last.name == worst.name), None)
    told = "" if before is None else f", {before:.0%} of them in {snapshots.at(snapshots.all[0])}"
    others = f" (and of {len(found) - 1} more layers)" if len(found) > 1 else ""
    yield Finding(
        f"{share:.0%} of the {worst.shape[0]} units of {worst.name}{others} have weights of next to nothing in "
        f"{snapshots.at(snapshots.all[-1])}{told}",
        subject=worst.name,
        evidence=(Evidence("share of faded units", share, many), Evidence("layers", len(found), 0)),
        fix=Fix(
            "lower the weight decay or the rate, or take a narrower layer",
            "Units that get no gradient are decayed until nothing is left of them.",
        ),
        severity=Severity.WARNING if share >= most or before == 0.0 else Severity.INFO,
    )
