from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import SavedTensor, Snapshots
from dnndoctor.rule import rule
from dnndoctor.rules.naming import listed

NOT_TRAINED = ("running_mean", "running_var", "num_batches_tracked", "inv_freq", "position_ids", "mask", "buffer")


@rule("OPT111", Severity.INFO, practice="learning-method")
def weights_stand_still(snapshots: Snapshots, *, moving: float = 0.2, fewest: int = 2) -> Iterator[Finding]:
    """Weights are the same in every checkpoint, bit for bit, while others changed.

    What it measures
        The change of each tensor from checkpoint to checkpoint. It is a warning where the optimizer's state holds as
        many parameters as the model has: then nothing was meant to be frozen.

    Why it matters
        These layers stay at their random start, and the others have to do with it.

    How to fix it
        Look at what cuts them off from the loss (a detach, no_grad, a branch that is never taken), or whether the
        optimizer holds others of the same name.

    When to ignore it
        They are frozen on purpose.

    References
        PyTorch documentation, Autograd mechanics, "Locally disabling gradient computation".
        moving: 0.2, this project's choice: share of the tensors that has to have changed, so that it was training.
        fewest: 2, arithmetic: a change takes two checkpoints.
    """
    if len(snapshots.all) < fewest:
        raise NotExamined(f"fewer than {fewest} checkpoints were read")
    later = snapshots.all[1:]
    moved: dict[str, bool] = {}
    for one in later:
        for each in one.tensors:
            if each.moved is not None:
                moved[each.name] = moved.get(each.name, False) or each.moved > 0
    still = [each for each in later[-1].tensors if moved.get(each.name) is False and _trainable(each)]
    if not moved or sum(moved.values()) < moving * len(moved):
        raise NotApplicable("hardly anything changed between the checkpoints: they may be of one step")
    if not still:
        return
    held = later[-1].held
    tensors = [each for each in later[-1].tensors if _trainable(each)]
    meant = held is None or held < len(tensors)
    names = listed([each.name for each in still])
    first, last = snapshots.all[0], later[-1]
    yield Finding(
        f"{names} did not change at all from {snapshots.at(first)} to {snapshots.at(last)}, while "
        f"{sum(moved.values())} other tensors did",
        subject=still[0].name,
        evidence=(Evidence("tensors that stood still", len(still), 0), Evidence("tensors", len(tensors))),
        fix=Fix(
            "let the loss depend on them, or freeze them for all to see",
            "Parameters that the optimizer holds and no gradient reaches are random features.",
            "assert all(p.grad is not None for p in model.parameters())  # after backward()",
        ),
        severity=Severity.INFO if meant else Severity.WARNING,
    )


def _trainable(one: SavedTensor) -> bool:
    return not any(each in one.name for each in NOT_TRAINED) and one.norm > 0
