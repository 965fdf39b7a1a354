from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import Ranks, TrainingLoop
from dnndoctor.rule import rule
from dnndoctor.rules.distributed.ranks import model_location, several


@rule("DST104", Severity.ERROR, practice="distributed")
def ranks_not_synchronised(ranks: Ranks, loop: TrainingLoop | None, *, fewest: int = 2) -> Iterator[Finding]:
    """Several processes were started to train one model, but nothing keeps their parameters together.

    What it measures
        A hash of every parameter on every rank before the first step and after some of the following ones; whether
        DistributedDataParallel or FSDP holds the model, and whether the script exchanges anything outside of forward
        passes. Reported are ranks that began with the same parameters, exchange nothing, and part.

    Why it matters
        Each process trains a model of its own on its share of the data. The one that is saved has seen one share; the
        others' work is lost.

    How to fix it
        Wrap the model once it is on its device, before the optimizer is made.

    When to ignore it
        An ensemble is trained on purpose. Ranks that begin with different parameters are left out already.

    References
        Li et al. 2020, PyTorch Distributed: Experiences on Accelerating Data Parallel Training, section 3.
        fewest: 2, this project's choice: comparisons, the one before the first step among them.
    """
    several(ranks)
    if ranks.sharded or ranks.synchronized:
        return
    if ranks.compared_steps < fewest:
        raise NotExamined("the ranks' parameters were not compared after a step of all of them")
    if not ranks.differing or not ranks.started_equal:
        return
    apart = f"{len(ranks.differing)} of {ranks.parameters} parameters differ after step {ranks.first_difference}"
    yield Finding(
        f"{ranks.world} ranks train without exchanging anything: {apart}",
        location=model_location(loop, ranks),
        subject=loop.models[0].name if loop and loop.models else None,
        evidence=(
            Evidence("parameters that differ between ranks", len(ranks.differing), 0),
            Evidence("exchanges in the loop", ranks.collectives),
        ),
        fix=Fix(
            "wrap the model in DistributedDataParallel",
            f"The gradients of all {ranks.world} ranks are averaged, and their parameters stay the same.",
            "model = torch.nn.parallel.DistributedDataParallel(model)",
        ),
    )
