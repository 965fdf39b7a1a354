from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Mode, Modes
from dnndoctor.rule import rule


@rule(
    "REG103",
    Severity.ERROR,
    practice="regularization",
    not_for={
        "gan": "in adversarial training passes without an update are part of training",
        "reinforcement": "in reinforcement learning the model acts without an update, as a part of training",
    },
)
def dropout_active_in_evaluation(modes: Modes, *, fewest: int = 1) -> Iterator[Finding]:
    """The model is evaluated in training mode: dropout drops, batch norm follows the evaluation batches.

    What it measures
        The mode of every dropout and batch-norm layer at each pass that no update follows: gradients off, or
        batches that are not trained on.

    Why it matters
        Dropout makes the score worse and random. Batch norm is worse: it takes up the evaluation data's statistics, so
        that the measured set leaks into the model, and a score depends on who else is in the batch.

    How to fix it
        Call ``model.eval()`` before the evaluation and ``model.train()`` after it.

    When to ignore it
        Dropout is sampled on purpose (Monte-Carlo dropout). Repeated passes over one batch are left out already; passes
        over training data, or of a model in mixed modes, are information only.

    References
        Srivastava et al. 2014, Dropout, section 1: at test time one network without dropout.
        Ioffe and Szegedy 2015, Batch Normalization, section 3.1: population statistics in inference.
        fewest: 1, Srivastava et al. 2014, section 1: one pass in the wrong mode gives a wrong score.
    """
    if not modes.mode_layers and modes.functional:
        raise NotExamined("dropout or batch norm is called as a function only, and its mode is not followed")
    if not modes.mode_layers:
        raise NotApplicable("the model has neither dropout nor batch norm")
    if not modes.purpose("evaluation"):
        raise NotExamined("no evaluation pass was seen")
    places: dict[tuple[str, Location | None], list[Mode]] = {}
    for each in modes.purpose("evaluation"):
        if each.active and each.trainable and not each.same_input and not (each.gradients and each.training_data):
            places.setdefault((each.model, each.location), []).append(each)
    for (model, location), group in places.items():
        passes, layers = sum(each.passes for each in group), list(dict.fromkeys(n for e in group for n in e.active))
        if passes < fewest:
            continue
        meant = all(each.training_data or each.inactive for each in group)
        names = ", ".join(layers[:3]) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")
        yield Finding(
            f"{model} was evaluated {passes} times with {_counted(layers)} in training mode: {names}",
            location=location,
            subject=model,
            evidence=(Evidence("layers in training mode", len(layers), 0), Evidence("passes", passes)),
            fix=Fix(
                "switch to evaluation mode before evaluating",
                "The score is then no longer tied to chance or to the batch by dropout or batch norm.",
                "model.eval()\n...  # evaluate\nmodel.train()",
            ),
            severity=Severity.INFO if meant else Severity.ERROR,
        )


def _counted(layers: list[str]) -> str:
    return f"{len(layers)} layer{'s' if len(layers) != 1 else ''}"
