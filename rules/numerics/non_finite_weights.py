from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Snapshots
from dnndoctor.rule import rule


@rule("NUM104", Severity.ERROR, practice="numerics")
def non_finite_weights(snapshots: Snapshots, *, fewest: int = 1) -> Iterator[Finding]:
    """A checkpoint holds weights that are NaN or infinite.

    What it measures
        Every entry of the model's tensors in every checkpoint that was read.

    Why it matters
        Nothing can be gone on from there: every output that such a weight takes part in is NaN.

    How to fix it
        Go on from the last checkpoint without them, and check the loss before a step is made and before one is saved.

    When to ignore it
        Never.

    References
        IEEE 754.
        fewest: 1, arithmetic: one such entry spreads to all that depends on it.
    """
    if not snapshots.all:
        raise NotApplicable("there are no checkpoints")
    index = next((i for i, one in enumerate(snapshots.all) if sum(each.bad for each in one.broken) >= fewest), None)
    if index is None:
        return
    one = snapshots.all[index]
    before = next((each for each in reversed(snapshots.all[:index]) if not each.broken), None)
    first = one.broken[0]
    share = f"{len(one.broken)} of {len(one.tensors)} tensors"
    go_on = (
        f"go on from {snapshots.at(before)}" if before is not None else "start again: no checkpoint before it is sound"
    )
    later = len(snapshots.all) - index - 1
    yield Finding(
        f"{snapshots.at(one)} holds NaN or infinite weights in {share}, {first.name} the first",
        subject=first.name,
        evidence=(
            Evidence("entries that are not finite", sum(each.bad for each in one.broken), 0),
            Evidence("later checkpoints, none of them to be used", later),
        ),
        fix=Fix(
            go_on,
            "Checked before the step, a loss of NaN costs one batch and not the run.",
            "if torch.isfinite(loss):\n    loss.backward()\n    optimizer.step()",
        ),
    )
