from collections.abc import Iterator

from dnndoctor.changes import Change, FirstOf, SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import LossInput, LossInputs, SoftmaxUse
from dnndoctor.rule import rule
from dnndoctor.rules.edits import LAYERS
from dnndoctor.rules.loss.feeding import NEARLY_UNCHANGED

BETWEEN = NEARLY_UNCHANGED | {"log"}


@rule(
    "LOS110",
    Severity.ERROR,
    practice="loss",
    not_for={"contrastive": "samples are compared with each other, so that a softmax over the batch is meant"},
)
def wrong_softmax_axis(inputs: LossInputs, *, fewest_samples: int = 2, tolerance: float = 0.05) -> Iterator[Finding]:
    """The softmax before the loss goes over the samples of the batch, or another wrong axis.

    What it measures
        The axis of a softmax that reaches a loss with no layer between: the first one, with as many entries as the
        batch has samples; or for nll_loss any other than the classes', if the log-probabilities that arrive are
        not normalised over the classes. Softmaxes inside the model, as in attention, are not looked at.

    Why it matters
        The probabilities of one sample depend on the others and do not add up to 1; a prediction for a single
        sample is always 1.

    How to fix it
        Name the axis of the classes: dim=1, or dim=-1 where they come last.

    When to ignore it
        The samples of the batch compete with each other on purpose.

    References
        PyTorch, softmax: dim, a dimension along which softmax will be computed. Without it the first axis is taken
        for one and three dimensions.
        fewest_samples: 2, arithmetic: over one sample it is constant, which is another fault.
        tolerance: 0.05, this project's choice: nats by which log-probabilities miss their normalisation.
    """
    judged = [each for each in inputs.all if each.softmaxes]
    if not judged:
        raise NotApplicable("no softmax feeds a known loss")
    reported = set()
    for each in judged:
        use = _nearest(each)
        if (
            use is None
            or (use.location, use.axis) in reported
            or not _wrong(each, use, inputs, fewest_samples, tolerance)
        ):
            continue
        reported.add((use.location, use.axis))
        over = "the samples of the batch" if use.axis == 0 else f"axis {use.axis}"
        unsaid = "" if use.chosen else " (dim was left out)"
        yield Finding(
            f"the {use.function} before {each.function} normalises over {over}, {use.shape[use.axis]} entries, "
            f"and not over the classes{unsaid}",
            location=use.location or each.location,
            subject=use.module or None,
            evidence=(Evidence("axis of the softmax", use.axis, _classes_axis(use)),),
            fix=Fix(
                "Normalise over the classes",
                "Each sample then has probabilities of its own that add up to 1.",
                f"{use.function}(scores, dim={_classes_axis(use)})",
                _other_axis(use),
            ),
        )


def _nearest(each: LossInput) -> SoftmaxUse | None:
    """The softmax that arrives at the loss as it is."""
    for fed in each.chain:
        if fed.name in ("softmax", "log_softmax"):
            return each.softmaxes[0]
        if fed.name not in BETWEEN:
            return None
    return None


def _wrong(each: LossInput, use: SoftmaxUse, inputs: LossInputs, fewest: int, tolerance: float) -> bool:
    if len(use.shape) < 2 or use.shape[use.axis] < fewest:
        return False
    if use.axis == 0 and max(use.shape[1:]) < fewest:
        return False  # one score per sample: a list that is ranked
    if use.axis == 0:
        return use.shape[0] in (inputs.batch_size, each.samples) and use.shape[0] >= fewest
    off = each.function == "nll_loss" and abs(each.log_normaliser or 0.0) > tolerance
    return off and use.shape == each.input_shape and use.axis != 1


def _classes_axis(use: SoftmaxUse) -> int:
    return 1 if len(use.shape) != 3 else -1


def _other_axis(use: SoftmaxUse) -> tuple[Change, ...]:
    axis, place = str(_classes_axis(use)), use.location
    call = SetArgument("dim", axis, position=1, at=place, of=(use.function,), method=True)
    layer = SetArgument("dim", axis, position=0, at=place, of=(LAYERS[use.function],))
    return (FirstOf(((call,), (layer,)), at=place),) if place is not None else ()
