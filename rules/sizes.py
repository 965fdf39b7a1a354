"""How weights grew from the first checkpoint to the last."""

import statistics

from dnndoctor.measurements import Snapshots


def growth(snapshots: Snapshots) -> float | None:
    """The median ratio over all matrices of weights that were not zero; None where there are none in both."""
    ratios = [after.norm / before.norm for before, after in snapshots.pairs if before.norm > 0]
    return statistics.median(ratios) if ratios else None
