from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Snapshots
from dnndoctor.rule import rule
from dnndoctor.rules.sizes import growth


@rule("OPT112", Severity.WARNING, practice="learning-method")
def weights_explode(
    snapshots: Snapshots, *, times: float = 20.0, behind_norms: float = 100.0, scale: float = 8.0
) -> Iterator[Finding]:
    """The weights grew out of all proportion from one checkpoint to the next.

    What it measures
        The median growth of the matrices of weights from the first checkpoint to the last, and what a layer makes of a
        signal in the last one (root mean square times the square root of its inputs, the median). Only both
        count: weights that started very small may grow. Where there are normalisation layers, which
        take scale out again, it takes more.

    Why it matters
        Steps that are far too large leave weights that are too large: units saturate or die, gradients vanish, and
        later steps of the usual size change nothing any more.

    How to fix it
        Go on from the checkpoint before, at a lower rate or with the gradient clipped.

    When to ignore it
        Only the direction of the weights is used.

    References
        Goodfellow, Bengio & Courville 2016, Deep Learning, section 8.2.4, cliffs.
        times: 20.0, measured: 17 sound trainings grow 0.4 to 2.7 times, one at ten times its best rate 6.8; Adam at 0.3
        goes to 45 and learns nothing.
        behind_norms: 100.0, this project's choice: such weights grow without harm, but only as the root of the steps.
        scale: 8.0, measured: the median is 0.2 to 4.7 in 22 small trainings and 2 released models, 24 in that one.
    """
    grown = growth(snapshots)
    if grown is None:
        raise NotExamined("fewer than two checkpoints with the same weights were read")
    last = snapshots.all[-1]
    if last.scale is None:
        raise NotApplicable("no matrix of weights has inputs enough")
    limit = behind_norms if last.normalized else times
    if grown < limit or (last.scale < scale and not last.normalized):
        return
    before, after = snapshots.steepest(up=True)
    yield Finding(
        f"the weights grow {grown:.3g} times from {snapshots.at(snapshots.all[0])} to {snapshots.at(last)}, most of it "
        f"between {snapshots.at(before)} and {snapshots.at(after)}",
        subject="weights",
        evidence=(
            Evidence("median growth of the matrices of weights", grown, limit),
            Evidence("median of rms * sqrt(inputs)", last.scale, scale),
        ),
        fix=Fix(
            f"go on from {before.path} at a lower rate, or with the gradient clipped",
            "Weights of this size make steps of the usual one count for nothing.",
            "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
        ),
    )
