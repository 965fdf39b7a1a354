from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, Severity
from dnndoctor.measurements import Habits, LearningRateSweep, Plan
from dnndoctor.rule import rule


@rule("LRN110", Severity.INFO, practice="learning-rate")
def grid_search(
    plan: Plan | None, habits: Habits, sweep: LearningRateSweep | None, *, fewest: int = 2
) -> Iterator[Finding]:
    """Hyper-parameters are searched on a grid.

    What it measures
        Loops around the whole training that go through values of two settings or more, and grid searches of libraries.

    Why it matters
        Mostly one or two settings matter. A grid of nine trials tries three values of each, nine random trials nine.

    How to fix it
        Draw each setting at random from its range, rates and decays on a logarithmic scale.

    When to ignore it
        The grid is what is to be shown, or there are three trials.

    References
        Bergstra and Bengio 2012, Random Search for Hyper-Parameter Optimization, section 2.
        fewest: 2, Bergstra and Bengio 2012, figure 1: with one setting a grid is as good.
    """
    names = plan.searched if plan is not None else ()
    place = (plan.searched_at if plan is not None and len(names) >= fewest else None) or habits.searches
    if place is None:
        return
    low, high = sweep.usable if sweep is not None else (1e-4, 1e-1)
    listed = ", ".join(dict.fromkeys(names)) or "its settings"
    yield Finding(
        f"a grid over {listed} surrounds the training",
        location=place,
        subject=listed,
        evidence=(Evidence("settings", len(names), 1),),
        fix=Fix(
            "search at random",
            "As many trials then try as many values of the setting that matters"
            + (", here within the measured range of the rate." if sweep is not None else "."),
            f"for trial in range(20):\n    lr = 10 ** random.uniform({_log(low):.1f}, {_log(high):.1f})",
        ),
    )


def _log(rate: float) -> float:
    from math import log10

    return log10(rate) if rate > 0 else -4.0
