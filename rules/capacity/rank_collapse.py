from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import SavedTensor, Snapshots
from dnndoctor.rule import rule
from dnndoctor.rules.naming import listed


@rule("CAP109", Severity.INFO, practice="capacity")
def rank_collapse(
    snapshots: Snapshots, *, narrow: float = 0.10, fallen: float = 4.0, single: float = 0.99, smallest: int = 32
) -> Iterator[Finding]:
    """The weights of layers have lost most of their directions.

    What it measures
        The singular values of each matrix of weights (of a sample of large ones) in the newest checkpoint: over how
        many directions the entries spread, as a share of how many there could be, against the first checkpoint; and
        what the largest direction holds. It is a warning where one direction holds nearly everything
        in half of the layers, and did not in the first checkpoint. Left out: embeddings, tables, adapters.

    Why it matters
        Weights of one direction make every unit a multiple of the same feature: the layer passes on one number.
        Weights of few directions, as decay leaves them, say that a narrower layer would do.

    How to fix it
        For a collapse, go on from a checkpoint before it at a lower rate. For few directions, try a narrower layer.

    When to ignore it
        The layer is wide on purpose, and cheap.

    References
        Roy & Vetterli 2007, The effective rank; Galanti et al. 2022, SGD and weight decay provably induce a low-rank
        bias in neural networks.
        narrow: 0.10, measured: 0.18 to 0.99 in 16 sound trainings and two released models, 0.04 in one with a decay of
        1e-2, that is no worse for it; hence a remark.
        fallen: 4.0, this project's choice: against the first checkpoint, so that it came with training.
        single: 0.99, measured: at most 0.91 in a released model, 0.41 in sound trainings; 1.00 where SGD diverged.
        smallest: 32, this project's choice: in smaller matrices a tenth is two or three directions.
    """
    last = snapshots.all[-1]
    judged = [each for each in last.weights if each.rank is not None and min(each.shape[0], each.fan_in) >= smallest]
    if not judged:
        raise NotApplicable(f"no matrix of {smallest} rows and columns and more was read")
    before = {later.name: earlier for earlier, later in snapshots.pairs}
    gone = [each for each in judged if _single(each, single) and not _single(before.get(each.name), single)]
    if before and 2 * len(gone) >= len(judged):
        yield _finding(snapshots, gone, before, collapsed=True)
        return
    found = [each for each in judged if _fell(each, before.get(each.name), narrow, fallen)]
    if found:
        yield _finding(snapshots, found, before, collapsed=False)


def _single(one: SavedTensor | None, limit: float) -> bool:
    return one is not None and (one.top or 0.0) >= limit


def _fell(one: SavedTensor, before: SavedTensor | None, narrow: float, fallen: float) -> bool:
    if before is None or before.rank is None or one.rank is None:
        return False
    return one.rank <= narrow and one.rank * fallen <= before.rank


def _finding(
    snapshots: Snapshots, found: list[SavedTensor], before: dict[str, SavedTensor], *, collapsed: bool
) -> Finding:
    worst = min(found, key=lambda each: each.rank or 0.0)
    share, was, top = worst.rank or 0.0, before[worst.name].rank, worst.top or 0.0
    names, last = listed([each.name for each in found]), snapshots.at(snapshots.all[-1])
    effect = (
        f"one direction holds {top:.1%} of {worst.name}"
        if collapsed
        else f"{share:.0%} of the directions of {worst.name} are left"
    )
    return Finding(
        f"the weights of {names} have lost rank by {last}: {effect}, and {was or 0:.0%} were there in "
        f"{snapshots.at(snapshots.all[0])}",
        subject=worst.name,
        evidence=(
            Evidence("effective rank, as a share of the largest possible", share, was),
            Evidence("share of the largest direction", top),
        ),
        fix=Fix(
            "go on from a checkpoint before the collapse, at a lower rate" if collapsed else "try a narrower layer",
            "Every unit has become a multiple of the same feature."
            if collapsed
            else "What the layer does takes fewer units than it has.",
        ),
        severity=Severity.WARNING if collapsed else Severity.INFO,
    )
