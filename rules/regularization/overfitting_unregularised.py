from collections.abc import Iterator

from dnndoctor.findings import Finding, Fix, Severity
from dnndoctor.measurements import Overfitting, Remedies, Remedy
from dnndoctor.measurements.growth import sure
from dnndoctor.rule import rule
from dnndoctor.rules.overfit import (
    NO_HELD_OUT_LOSS,
    certain,
    enough_seen,
    figures,
    gravity,
    risen,
    unrestrained,
)


@rule("REG101", Severity.WARNING, practice="regularization", not_for=NO_HELD_OUT_LOSS)
def overfitting_unregularised(
    growth: Overfitting,
    remedies: Remedies | None,
    *,
    lost: float = 0.25,
    errors: float = 3.0,
    more_errors: float = 0.1,
    gain: float = 0.1,
    seen: float = 0.5,
) -> Iterator[Finding]:
    """The model learns its training samples by heart, and nothing is there to restrain it.

    What it measures
        Copies of the model are trained with a quarter of the samples held out, three different quarters, with your
        optimizer, rate and batch size. Reported is a held-out loss that falls, and then rises by a good part of what
        was gained. Where that was seen, dropout and weight decay are tried on the same quarters for the same steps.

    Why it matters
        From the turning point on training makes the model worse on everything but the samples that it knows.

    How to fix it
        Take the restraint that helped most: dropout of hidden units, weight decay, or stop at the turning point.

    When to ignore it
        It is information only where no restraint helped, the length of the run is not known, or the classes that are
        predicted stay right. Known restraints (dropout, decay, norms, augmentation, early stopping) silence the rule.

    References
        Srivastava et al. 2014, Dropout, section 7.3 and appendix A.4: how much to drop.
        Prechelt 1998, Early Stopping, but when, section 2: generalization loss.
        lost: 0.25, healthy fixtures: the held-out loss rises by less than 0.03 of what was gained.
        errors: 3.0, this project's choice: standard errors over the quarters, and all three on the same side.
        more_errors: 0.1, this project's choice: share of wrong classes on held-out samples beyond that in training.
        gain: 0.1, this project's choice: share of what was gained that a restraint has to save.
        seen: 0.5, this project's choice: share of the data set, as fewer samples are over-fitted more.
    """
    unrestrained(growth)
    if not growth.rises(lost, errors):
        return
    enough_seen(growth, seen)
    best = _helpful(growth, remedies, errors, gain)
    yield Finding(
        f"{growth.model} over-fits with nothing to restrain it: {risen(growth)}",
        location=growth.location,
        subject=growth.model,
        evidence=figures(growth),
        fix=_fix(growth, best),
        severity=gravity(best is not None and certain(growth, more_errors)),
    )


def _helpful(growth: Overfitting, remedies: Remedies | None, errors: float, gain: float) -> Remedy | None:
    """The restraint with the lowest held-out loss, if that is surely lower."""
    if remedies is None or not remedies.tried:
        return None
    best = min(remedies.tried, key=lambda each: float(each.held_out_loss.mean()))
    saved = growth.held_out_loss[:, -1] - best.held_out_loss
    return best if sure(saved, errors) and saved.mean() > gain * growth.gained else None


def _fix(growth: Overfitting, best: Remedy | None) -> Fix:
    if best is None:
        return Fix(
            "stop at the turning point, or restrain the model",
            f"The held-out loss was lowest at step {growth.marks[growth.best]}.",
            "if validation_loss < best:\n    best, best_state = validation_loss, copy.deepcopy(model.state_dict())",
        )
    instead = f"{best.held_out_loss.mean():.3g} instead of {growth.held_out_loss[:, -1].mean():.3g}"
    explanation = f"The held-out loss was {instead} after the same {growth.marks[-1]} steps."
    if best.kind == "dropout":
        code = f"nn.Dropout({best.value:g})  # before every layer but the first"
        return Fix(f"drop a share of {best.value:g} of the hidden units", explanation, code)
    decay = f"{float(f'{best.value:.1g}'):g}"
    return Fix(f"decay the weights by {decay}", explanation, f"torch.optim.AdamW(..., weight_decay={decay})")
