from collections.abc import Iterator

from dnndoctor.changes import Change, Safety, SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Loader, Loaders, Run, SampleOrder
from dnndoctor.rule import rule

# Targets that say nothing about the order of the samples; where a dataset can be read, it is judged all the same.
UNORDERED = {
    "gan": "in adversarial training the targets name real and generated batches",
    "contrastive": "in contrastive training the targets name places in the batch",
    "diffusion": "in diffusion training the targets are noise",
}


@rule(
    "SHU101",
    Severity.WARNING,
    practice="shuffling",
    not_for={"reinforcement": "in reinforcement learning the samples follow each other by nature"},
)
def not_shuffled(
    order: SampleOrder,
    loaders: Loaders | None,
    run: Run | None = None,
    *,
    deviations: float = 4.0,
    excess: float = 1.5,
    correlation: float = 0.3,
    fewest: int = 64,
) -> Iterator[Finding]:
    """Samples are taken in a fixed order, and the order tells something about the targets.

    What it measures
        How often neighbours in training order have the same class, against chance; for numbers, the correlation of
        neighbours' targets. A fixed order that is random already is sound.

    Why it matters
        Batches of one kind pull the weights to and fro: the network unlearns the first class while it is shown the
        last, and batch norm sees statistics that no other data have.

    How to fix it
        Draw a new order for every epoch.

    When to ignore it
        Samples are windows of one series and the model carries its state from batch to batch.

    References
        Bottou 2012, Stochastic Gradient Descent Tricks, section 4.1: randomly shuffle the training examples.
        deviations: 4.0, standard normal distribution: chance reaches it in 1 of 16,000 orders.
        excess: 1.5, this project's choice: times the chance of equal neighbours, or half-way to certainty.
        correlation: 0.3, this project's choice, over the 0.25 that chance reaches at 4 deviations in 256 samples.
        fewest: 64, this project's choice: below it 4 deviations ask for a correlation over 0.5.
    """
    if order.shuffled:
        raise NotApplicable("the samples are shuffled")
    if order.recurrent:
        raise NotApplicable("the samples are a series, whose order is meant")
    unordered = UNORDERED.get(run.family) if run is not None and order.source == "batches" else None
    if unordered is not None:
        raise NotApplicable(unordered)
    length = loaders.dataset_length if loaders else None
    if loaders and length and loaders.batch_size >= length:
        raise NotApplicable("every batch is the whole data set")
    if order.scanned < fewest:
        raise NotExamined(f"the order of {order.scanned} samples only was seen")
    if order.classes:
        chance = order.expected_same
        telling = order.same_neighbour >= min(excess * chance, (1 + chance) / 2) and order.same_neighbour > chance
        figure = Evidence("equal neighbours", order.same_neighbour, chance)
        text = (
            f"{order.same_neighbour:.0%} of neighbouring samples are of the same class, where chance gives {chance:.0%}"
        )
    else:
        telling = abs(order.correlation) > correlation
        figure = Evidence("correlation of neighbours", order.correlation, 0.0)
        text = f"neighbouring samples' targets correlate by {order.correlation:.2f}"
    if abs(order.z) <= deviations or not telling:
        return
    training = loaders.training if loaders else None
    by_loader, stream = training is not None, training is not None and training.iterable
    code = "shuffle=True" if by_loader else "order = torch.randperm(len(x))\nx, y = x[order], y[order]"
    yield Finding(
        f"{'samples are sorted by their target and' if order.sorted else 'samples are'} not shuffled: {text}",
        location=(training.shuffle_location if training else None) or order.location,
        subject=training.dataset if training else None,
        evidence=(figure, Evidence("standard errors from chance", order.z, deviations)),
        fix=Fix(
            "shuffle in every epoch",
            f"Brings neighbours back to chance, so that each batch stands for the whole: {text}.",
            "# shuffle within the iterable dataset, through a buffer" if stream else code,
            _shuffling(training, Safety.SAFE if order.sorted else Safety.UNSAFE),
        ),
        severity=Severity.ERROR if order.sorted else Severity.WARNING,
    )


def _shuffling(loader: Loader | None, safety: Safety) -> tuple[Change, ...]:
    if loader is None or loader.location is None or loader.iterable or not loader.sequential:
        return ()
    others = ("sampler", "batch_sampler")
    at = loader.location
    return (SetArgument("shuffle", "True", position=2, unless=others, at=at, of=("DataLoader",), safety=safety),)
