from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Epochs
from dnndoctor.rule import rule


@rule("SHU102", Severity.INFO, practice="shuffling")
def same_order_every_epoch(epochs: Epochs, *, fewest: int = 16) -> Iterator[Finding]:
    """Samples are shuffled, and every epoch takes them in the same order.

    What it measures
        The first 64 indices that a shuffling sampler yields in each epoch, against those of the epoch before, within
        one training.

    Why it matters
        Batches are then the same in every epoch: the same samples meet in batch norm and in one gradient, and the
        noise that helps the search is drawn once. It comes from a seed that is set again in the loop, a generator
        made anew for each epoch, or a distributed sampler that is not told the epoch.

    How to fix it
        Seed once, before the loop; give the loader one generator; call ``sampler.set_epoch(epoch)``.

    When to ignore it
        Runs are compared batch by batch.

    References
        Bottou 2012, Stochastic Gradient Descent Tricks, section 4.1: a new order for every epoch.
        fewest: 16, this project's choice: two random orders of 16 samples agree once in 2e13 times.
    """
    found = [each for each in epochs.repeated if each.compared >= fewest]
    if not found:
        if epochs.second_epochs == 0:
            shuffles = any(each.role == "training" for each in epochs.loaders)
            raise (NotExamined("only one epoch was seen") if shuffles else NotApplicable("no loader trains"))
        return
    first = found[0]
    yield Finding(
        f"{first.sampler} yields the same {first.compared} indices first in {len(found) + 1} epochs",
        location=first.location,
        subject=first.sampler,
        evidence=(Evidence("indices compared", first.compared),),
        fix=Fix(
            "seed once, before the loop",
            "Every epoch then draws an order of its own, and runs can be repeated all the same.",
            "generator = torch.Generator().manual_seed(0)  # once\n"
            "loader = DataLoader(dataset, shuffle=True, generator=generator)",
        ),
    )
