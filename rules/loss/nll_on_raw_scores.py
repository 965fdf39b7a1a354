from collections.abc import Iterator

from dnndoctor.changes import Safety
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Fed, LossInput, LossInputs
from dnndoctor.rule import rule
from dnndoctor.rules.edits import exchange
from dnndoctor.rules.loss.feeding import UNCHANGED, fed_by


@rule("LOS103", Severity.ERROR, practice="loss")
def nll_on_raw_scores(inputs: LossInputs, *, tolerance: float = 0.05) -> Iterator[Finding]:
    """The negative log-likelihood loss is fed something other than log-probabilities.

    What it measures
        The logarithm of the summed exponentials over the classes, of samples in the watched steps: 0 for
        log-probabilities, and less where classes are left out. Above that the input is raw scores or probabilities. A
        log-softmax over a wrong axis has a rule of its own.

    Why it matters
        The loss is no likelihood: it falls without bound as scores grow, and wrong classes are never pushed down.

    How to fix it
        Apply log_softmax to the scores, or use cross_entropy on them.

    When to ignore it
        The scores are log-densities of a generative model on purpose.

    References
        PyTorch, NLLLoss: the input is expected to contain log-probabilities of each class.
        tolerance: 0.05, this project's choice: nats; half precision is off by less than 0.01.
    """
    judged = [each for each in inputs.all if each.function == "nll_loss" and each.input_differentiable]
    if not judged:
        raise NotApplicable("no nll_loss")
    measured = [each for each in judged if each.lowest_log_normaliser is not None]
    if not measured:
        raise NotExamined("no scores were sampled at an nll_loss")
    for each in measured:
        normaliser = each.lowest_log_normaliser or 0.0
        if normaliser <= tolerance or any(use.function == "log_softmax" for use in each.softmaxes):
            continue
        softmax = fed_by(each.chain, ("softmax",), UNCHANGED)
        what = "probabilities" if softmax is not None or each.probabilities else "raw scores"
        yield Finding(
            f"nll_loss is fed {what}, no log-probabilities: their exponentials add up to "
            f"e^{each.log_normaliser or normaliser:.3g} and not to 1",
            location=(softmax.location if softmax is not None else None) or each.place,
            subject=(softmax.module if softmax is not None else None) or None,
            evidence=(Evidence("log of the summed exponentials", each.log_normaliser or normaliser, 0.0, "nats"),),
            fix=_fix(each, softmax),
        )


def _fix(each: LossInput, softmax: Fed | None) -> Fix:
    axis = 1 if len(each.input_shape) > 1 else 0
    if softmax is not None:  # others may count on the probabilities of a model
        safety = Safety.UNSAFE if softmax.in_model else Safety.SAFE
        changes = exchange("softmax", "log_softmax", softmax.location, safety)
    else:
        changes = exchange("nll_loss", "cross_entropy", each.place, Safety.SAFE) if not each.probabilities else ()
    return Fix(
        "Use cross_entropy on the raw scores, or log_softmax before nll_loss",
        "The loss is then a likelihood: its floor is 0, and wrong classes are pushed down.",
        f"loss = F.nll_loss(F.log_softmax(scores, dim={axis}), target)  # or F.cross_entropy(scores, target)",
        changes,
    )
