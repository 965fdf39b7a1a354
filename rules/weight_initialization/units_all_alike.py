from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import SavedTensor, Snapshots
from dnndoctor.rule import rule
from dnndoctor.rules.naming import listed


@rule("INI108", Severity.ERROR, practice="weight-initialization")
def units_all_alike(snapshots: Snapshots, *, fewest_units: int = 8) -> Iterator[Finding]:
    """All units of a layer have the same weights in the newest checkpoint.

    What it measures
        The rows of each matrix of weights, in the newest checkpoint, against the first one. Left out: tensors that are
        zero or never changed, depthwise kernels, embeddings and other tables, adapters, stacks of experts.

    Why it matters
        Units that are equal get equal gradients and stay equal: a layer of any width then does what one unit could.
        They were given the same weights at the start, and nothing has told them apart since.

    How to fix it
        Draw the weights at random and train again: more training does not mend it.

    When to ignore it
        The layer is made of copies on purpose.

    References
        Goodfellow, Bengio & Courville 2016, Deep Learning, section 8.4: breaking the symmetry.
        fewest_units: 8, this project's choice: two or three equal rows may be meant.
    """
    last = snapshots.all[-1]
    judged = [each for each in last.weights if each.alike is not None and each.shape[0] >= fewest_units]
    if not judged:
        raise NotApplicable(f"no layer of {fewest_units} units and more was read")
    moved = snapshots.moved
    found = [each for each in judged if each.alike == 1.0 and _meant_to_learn(each, moved, len(snapshots.all))]
    if not found:
        return
    units = sum(each.shape[0] for each in found)
    yield Finding(
        f"in {snapshots.at(last)} all units of {listed([each.name for each in found])} have the same weights: "
        f"{units} units do what {len(found)} could",
        subject=found[0].name,
        evidence=(
            Evidence("layers with equal units", len(found), 0),
            Evidence("layers that were looked at", len(judged)),
        ),
        fix=Fix(
            "train again from weights that were drawn at random",
            "Equal units get equal gradients, so that no training tells them apart.",
            f"nn.init.kaiming_normal_(model.{found[0].name})",
        ),
    )


def _meant_to_learn(one: SavedTensor, moved: frozenset[str], checkpoints: int) -> bool:
    copies = any(each in one.name.lower() for each in ("expert", "ensemble", "member"))
    return not copies and (checkpoints == 1 or one.name in moved)
