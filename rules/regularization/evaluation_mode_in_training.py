from collections.abc import Iterator

from dnndoctor.changes import Change, InsertBefore, Loop, Safety
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Mode, Modes, Run
from dnndoctor.rule import rule


@rule(
    "REG104",
    Severity.ERROR,
    practice="regularization",
    not_for={"gan": "in adversarial training each network is passed through in the other's updates"},
)
def evaluation_mode_in_training(modes: Modes, run: Run | None, *, fewest: int = 3) -> Iterator[Finding]:
    """The model is trained in evaluation mode: dropout does nothing, batch norm does not normalise.

    What it measures
        The mode of every dropout and batch-norm layer at each pass that an update follows. Counted are layers in
        evaluation mode whose own or whose neighbours' parameters the optimizer changes.

    Why it matters
        Dropout that does nothing regularises nothing. Batch norm keeps the statistics that it started with, and
        scales by numbers foreign to the data. Often the ``model.eval()`` of the first validation is never undone.

    How to fix it
        Call ``model.train()`` at the start of every epoch.

    When to ignore it
        The layers are frozen on purpose. Pretrained models with other layers in training mode are left out already.

    References
        Ioffe and Szegedy 2015, Batch Normalization, section 3.1: batch statistics in training.
        Srivastava et al. 2014, Dropout, section 4.
        fewest: 3, this project's choice: passes, so that one trial pass is no finding.
    """
    if not modes.mode_layers and modes.functional:
        raise NotExamined("dropout or batch norm is called as a function only, and its mode is not followed")
    if not modes.mode_layers:
        raise NotApplicable("the model has neither dropout nor batch norm")
    seen = sum(each.passes for each in modes.purpose("training"))
    if seen < fewest:
        raise NotExamined(f"forward passes of the model that were seen in training: {seen}")
    pretrained = run is not None and run.pretrained
    places: dict[tuple[str, Location | None], list[Mode]] = {}
    for each in modes.purpose("training"):
        frozen_on_purpose = pretrained and bool(each.active)
        if each.inactive_trained and each.trainable and not frozen_on_purpose and not _second_pass(each, modes):
            places.setdefault((each.model, each.eval_location or each.location), []).append(each)
    for (model, location), group in places.items():
        passes = sum(each.passes for each in group)
        layers = list(dict.fromkeys(name for each in group for name in each.inactive_trained))
        if passes < fewest:
            continue
        names = ", ".join(layers[:3]) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")
        yield Finding(
            f"{model} was trained for {passes} passes with {len(layers)} layers in evaluation mode: {names}",
            location=location,
            subject=model,
            evidence=(Evidence("layers in evaluation mode", len(layers), 0), Evidence("passes", passes)),
            fix=Fix(
                "switch back to training mode before training",
                f"{len(layers)} dropout or batch-norm layers do their work again in all {passes} passes.",
                "model.train()  # at the start of every epoch",
                _switched(group[0]),
            ),
        )


def _switched(each: Mode) -> tuple[Change, ...]:
    """Before the loop over the batches; where one pass takes all of the data, before that pass."""
    loop = Loop() if each.training_data else None
    return (InsertBefore("{callee}.train()", at=each.location, loop=loop, safety=Safety.SAFE),) if each.location else ()


def _second_pass(mode: Mode, modes: Modes) -> bool:
    """Whether the same training also passes elsewhere in training mode, as with adversarial examples."""
    return any(
        other.model == mode.model and other.location != mode.location and other.active and not other.inactive_trained
        for other in modes.purpose("training")
    )
