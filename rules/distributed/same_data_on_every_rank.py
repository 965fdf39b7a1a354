from collections.abc import Iterator

from dnndoctor.changes import Change, RemoveArgument, SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Loaders, Ranks
from dnndoctor.rule import rule
from dnndoctor.rules.distributed.ranks import data_location, several


@rule("DST102", Severity.ERROR, practice="distributed")
def same_data_on_every_rank(ranks: Ranks, loaders: Loaders | None, *, fewest: int = 3) -> Iterator[Finding]:
    """Every rank trains on the same batches: the processes do each other's work.

    What it measures
        A hash of the model's first input on every rank in every watched step. Reported are ranks that were fed with the
        same batch in all of them.

    Why it matters
        The mean of equal gradients is that gradient. All ranks together learn exactly what one alone would have
        learned, in no less time.

    How to fix it
        Give the loader a DistributedSampler, and call its ``set_epoch`` at the start of every epoch. Of a stream, each
        rank skips what belongs to the others.

    When to ignore it
        The ranks share one forward pass (tensor or pipeline parallel). Sharded parameters are left out already.

    References
        PyTorch documentation, torch.utils.data.distributed.DistributedSampler: each rank gets a subset of its own.
        fewest: 3, this project's choice: steps, so that one common first batch is no finding.
    """
    several(ranks)
    if ranks.sharded:
        raise NotApplicable("the ranks hold parts of one model, which take the same batch")
    if not ranks.synchronized:
        raise NotApplicable("the ranks exchange nothing")
    if ranks.batches < fewest:
        raise NotExamined(f"batches that were compared between ranks: {ranks.batches}")
    if ranks.same_batches < ranks.batches:
        return
    yield Finding(
        f"all {ranks.world} ranks were fed with the same batch in each of {ranks.batches} steps",
        location=data_location(loaders, ranks),
        evidence=(Evidence("steps with the same batch on all ranks", ranks.same_batches, 0),),
        fix=Fix(
            "give each rank its own share of the data",
            f"{ranks.world} ranks then pass {ranks.world} times as many samples in a step.",
            "sampler = torch.utils.data.DistributedSampler(dataset)\n"
            "loader = DataLoader(dataset, batch_size=..., sampler=sampler)\n"
            "sampler.set_epoch(epoch)  # at the start of every epoch",
            _shared(loaders),
        ),
    )


def _shared(loaders: Loaders | None) -> tuple[Change, ...]:
    training = loaders.training if loaders is not None else None
    if training is None or training.location is None or training.iterable:
        return ()
    at, of, taken = training.location, ("DataLoader",), ("batch_sampler", "sampler")
    code = f"torch.utils.data.DistributedSampler({{0}}{'' if not training.sequential else ', shuffle=False'})"
    return (
        SetArgument("sampler", code, position=3, unless=taken, at=at, of=of),
        RemoveArgument("shuffle", position=2, at=at, of=of),
    )
