from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Groups, Optimizers
from dnndoctor.rule import rule


@rule("REG107", Severity.WARNING, practice="regularization")
def decay_dominates(
    groups: Groups,
    optimizers: Optimizers,
    *,
    times: float = 1.0,
    shrunk: float = 0.9,
    fewest: int = 5,
) -> Iterator[Finding]:
    """Weight decay moves the weights more than the data do, and they shrink from step to step.

    What it measures
        At sampled steps the decay's part of each weight's update against the data's, median over the weights, and the
        norm of the decayed weights: it has to fall, by a tenth at least, and to stay there.

    Why it matters
        The weights go to zero whatever the data say, and the outputs to a constant.

    How to fix it
        A smaller decay: 1e-4 for SGD, 0.01 for AdamW are usual. With decoupled decay each step takes the rate times the
        decay off every weight.

    When to ignore it
        The weights start far too large and are meant to shrink.

    References
        Krogh and Hertz 1991, A Simple Weight Decay Can Improve Generalization. Loshchilov and Hutter 2019, section 2.
        times: 1.0, Krogh and Hertz 1991: at more than the data's part the decay decides.
        shrunk: 0.9, this project's choice: what is left of the norm over the watched steps; healthy runs keep more.
        fewest: 5, this project's choice: sampled steps.
    """
    if all(group.weight_decay == 0 for each in groups.optimizers for group in each.groups):
        raise NotApplicable("no weight decay is used")
    measured, told = False, set()
    for held, optimizer in zip(groups.optimizers, optimizers.all, strict=False):
        norms, ratios = np.asarray(held.decayed_norms), np.asarray(held.decay_ratios)
        if len(norms) < fewest or not np.isfinite(norms).all():
            continue
        measured = True
        # Under momentum they swing around zero as they shrink: the largest of the last third is what is left.
        last = norms[-max(len(norms) // 3, 1) :].max()
        ratio, left = float(np.median(ratios)), float(last / norms[0]) if norms[0] > 0 else 1.0
        if ratio <= times or left >= shrunk or optimizer.location in told:
            continue
        told.add(optimizer.location)
        decay = max(group.weight_decay for group in held.groups)
        usual = 0.01 if held.decoupled else 1e-4
        yield Finding(
            f"weight decay {decay:g} moves the weights {ratio:.2g} times as much as the data do: they shrank to "
            f"{left:.0%} in the watched steps",
            location=held.decay_location or optimizer.location,
            subject=optimizer.name,
            evidence=(
                Evidence("decay against data", ratio, 0.1),
                Evidence("norm of the weights that is left", left, 1.0),
            ),
            fix=Fix("lower the decay", "The data then decide where the weights go.", f"weight_decay={usual:g}"),
        )
    if not measured:
        raise NotExamined(f"the decay was compared with the gradients in fewer than {fewest} steps")
