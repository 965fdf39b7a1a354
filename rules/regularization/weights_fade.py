from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import Snapshots
from dnndoctor.rule import rule
from dnndoctor.rules.sizes import growth


@rule("REG111", Severity.WARNING, practice="regularization")
def weights_fade(snapshots: Snapshots, *, left: float = 0.02, behind_norms: float = 1e-4) -> Iterator[Finding]:
    """The weights all but vanish from one checkpoint to the next.

    What it measures
        The norm of each matrix of weights in the last checkpoint against the first: the median of what is left. Where
        there are normalisation layers, which take scale out again, less has to be left.

    Why it matters
        Weight decay pulls harder than the loss: what the layers have learned is taken away faster than it comes, until
        the output is the same for every input.

    How to fix it
        Divide the weight decay by ten, and go on from the checkpoint before; with a loss that is a mean, values of
        1e-4 to 1e-1 are in use.

    When to ignore it
        The weights were scaled down on purpose, as for export.

    References
        Krogh & Hertz 1992, A simple weight decay can improve generalization.
        left: 0.02, measured: SGD with a decay of 5e-3 to 1e-2 leaves 0.40 to 0.44 and learns; 1e-1 leaves under 1e-6.
        behind_norms: 1e-4, this project's choice: there the size of weights only sets how far a step turns them.
    """
    share = growth(snapshots)
    if share is None:
        raise NotExamined("fewer than two checkpoints with the same weights were read")
    last = snapshots.all[-1]
    limit = behind_norms if last.normalized else left
    if share > limit:
        return
    before, after = snapshots.steepest(up=False)
    yield Finding(
        f"{share:.2g} of the weights' size is left in {snapshots.at(last)}; most of it went between "
        f"{snapshots.at(before)} and {snapshots.at(after)}",
        subject="weights",
        evidence=(Evidence("median share of the norm that is left", share, limit),),
        fix=Fix(
            f"divide the weight decay by ten, and go on from {before.path}",
            "The pull towards zero is stronger than what the loss asks for.",
            "torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)",
        ),
    )
