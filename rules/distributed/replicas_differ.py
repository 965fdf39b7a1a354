from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Ranks, TrainingLoop
from dnndoctor.rule import rule
from dnndoctor.rules.distributed.ranks import model_location, several
from dnndoctor.rules.naming import listed


@rule("DST101", Severity.ERROR, practice="distributed")
def replicas_differ(ranks: Ranks, loop: TrainingLoop | None, *, fewest: int = 2) -> Iterator[Finding]:
    """The ranks exchange their gradients, and their parameters differ all the same.

    What it measures
        A hash of every parameter on every rank, before the first step and after some of the following ones, compared
        bit for bit where the ranks are kept together by a wrapper or by exchanges of the script's own.

    Why it matters
        Gradients of different models are averaged: the mean fits none of them. What one rank saves is not
        what another one evaluated.

    How to fix it
        Let DistributedDataParallel broadcast the first parameters, or do so by hand before the first step. Build the
        optimizer from the parameters that are broadcast.

    When to ignore it
        Parameters are each rank's own on purpose (experts). Sharded ones are left out already.

    References
        Li et al. 2020, PyTorch Distributed: Experiences on Accelerating Data Parallel Training, section 3.1: replicas
        start from the same state and apply the same averaged gradients.
        fewest: 2, this project's choice: comparisons, the one before the first step among them.
    """
    several(ranks)
    if ranks.sharded:
        raise NotApplicable("each rank holds its own share of the parameters")
    if not ranks.synchronized:
        raise NotApplicable("the ranks exchange nothing")
    if ranks.compared_steps < fewest:
        raise NotExamined("the ranks' parameters were not compared after a step of all of them")
    if not ranks.differing:
        return
    when = "before the first step" if ranks.first_difference == -1 else f"after step {ranks.first_difference}"
    names = listed([each for each in ranks.differing if each])
    yield Finding(
        f"{len(ranks.differing)} of {ranks.parameters} parameters differ between {ranks.world} ranks {when}: {names}",
        location=model_location(loop, ranks),
        subject=ranks.differing[0] or None,
        evidence=(Evidence("parameters that differ between ranks", len(ranks.differing), 0),),
        fix=Fix(
            "start all ranks from the same parameters",
            f"All {ranks.world} ranks then average gradients of one and the same model.",
            "for tensor in model.state_dict().values():\n    torch.distributed.broadcast(tensor, src=0)",
        ),
    )
