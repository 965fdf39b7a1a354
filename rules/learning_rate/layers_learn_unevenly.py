from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Gradients, Optimizers, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.updates import layer_ratios


@rule("LRN109", Severity.INFO, practice="learning-rate")
def layers_learn_unevenly(
    gradients: Gradients, weights: Weights, optimizers: Optimizers, *, factor: float = 100.0
) -> Iterator[Finding]:
    """Some layers change a hundred times faster than others at the same rate.

    What it measures
        The update-to-weight ratio of every weight of two dimensions and more, median over the watched steps after the
        tenth: the largest against the smallest of one optimizer at one rate.

    Why it matters
        What suits one layer stands still in another: the slow one keeps its start, or the fast one never settles.

    How to fix it
        Use an optimizer that scales each entry's step, a normalization layer, or a rate of its own for the slow part.

    When to ignore it
        The slow part is meant to stay as it is.

    References
        You, Gitman and Ginsburg 2017, Large Batch Training of Convolutional Networks, section 4: layer-wise ratios.
        factor: 100.0, the rule catalogue of this project: healthy networks differ by less.
    """
    main = optimizers.main
    if len(set(main.learning_rates)) > 1:
        raise NotApplicable("the groups have rates of their own")
    ratios = layer_ratios(gradients, weights, next(i for i, each in enumerate(optimizers.all) if each is main))
    moving = {name: each for name, each in ratios.items() if each > 0}
    if len(moving) < 2:
        raise NotExamined("updates of fewer than two weights were measured after the first ten steps")
    slow, fast = min(moving, key=lambda name: moving[name]), max(moving, key=lambda name: moving[name])
    apart = moving[fast] / moving[slow]
    if apart <= factor:
        return
    place = weights.named(slow)
    yield Finding(
        f"{fast} changes {apart:.0f} times faster than {slow}: {moving[fast]:.1g} against {moving[slow]:.1g} per step",
        location=place.location if place is not None else None,
        subject=slow,
        evidence=(Evidence("fastest against slowest layer", apart, 10.0),),
        fix=Fix(
            "scale the steps layer by layer",
            f"{slow} then learns as fast as the rest.",
            "optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)",
        ),
    )
