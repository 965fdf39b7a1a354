from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Seeds
from dnndoctor.rule import rule

CALLS = {"torch": "torch.manual_seed(0)", "numpy": "np.random.seed(0)", "python": "random.seed(0)"}


@rule("LOP107", Severity.INFO, practice="training-loop")
def unseeded_run(seeds: Seeds, *, tolerated: int = 0) -> Iterator[Finding]:
    """Training draws from random streams that no seed was given to, so that no run can be repeated.

    What it measures
        Which of the global random streams of torch, numpy and Python moved between the script's start and its second
        step, and which of them were given a seed or a state before. Without one they start elsewhere every time.

    Why it matters
        Two runs of the same script differ, and a change of the code cannot be told from luck.

    How to fix it
        Seed every stream once, at the start, and the workers that load data too.

    When to ignore it
        Runs are to differ, as in an estimate of the spread.

    References
        PyTorch documentation, Reproducibility: which generators there are.
        tolerated: 0, PyTorch documentation, Reproducibility: one stream without a seed makes runs differ.
    """
    if not seeds.drawn:
        raise NotApplicable("nothing was drawn from a global random stream")
    open_ = [each for each in seeds.drawn if each not in seeds.seeded]
    if len(open_) <= tolerated:
        return
    yield Finding(
        f"training draws from {len(open_)} random stream{'s' if len(open_) > 1 else ''} without a seed: "
        + ", ".join(open_),
        evidence=(Evidence("streams without a seed", len(open_), 0),),
        fix=Fix(
            "seed every stream at the start",
            f"Two runs then begin alike in all {len(seeds.drawn)} streams that are drawn from.",
            "\n".join(CALLS[each] for each in open_),
        ),
    )
