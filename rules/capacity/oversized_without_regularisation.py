from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Overfitting, Width, Widths
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


@rule("CAP103", Severity.WARNING, practice="capacity", not_for=NO_HELD_OUT_LOSS)
def oversized_without_regularisation(
    growth: Overfitting,
    widths: Widths | None,
    *,
    times: float = 10.0,
    lost: float = 0.25,
    errors: float = 3.0,
    more_errors: float = 0.1,
    gain: float = 0.1,
    seen: float = 0.5,
) -> Iterator[Finding]:
    """The model has many more parameters than samples, and over-fits with nothing to restrain it.

    What it measures
        Trainable parameters against training samples, and the held-out loss of copies of the model as for
        ``overfitting-unregularised``. Where it rises, copies with half and twice the hidden width are trained as well.

    Why it matters
        A large model is no harm by itself: with restraints it often does better than a small one. Without, it has
        room to store every sample.

    How to fix it
        Restrain it (dropout, weight decay, augmentation), or take fewer hidden units where half of them do better.

    When to ignore it
        It is information only where half the width is not measurably better, or the length of the run is not known.

    References
        Bengio 2012, Practical Recommendations for Gradient-Based Training, section 3.2: large layers, regularized.
        Zhang et al. 2017, Understanding Deep Learning Requires Rethinking Generalization, section 2: memorization.
        times: 10.0, this project's choice: parameters per sample; sound small models have that, too, and are not named.
        lost: 0.25, healthy fixtures: the held-out loss rises by less than 0.03 of what was gained.
        errors: 3.0, this project's choice: standard errors over three held-out quarters, all on the same side.
        more_errors: 0.1, this project's choice: share of wrong classes on held-out samples beyond that in training.
        gain: 0.1, this project's choice: share of what was gained that half the width has to save.
        seen: 0.5, this project's choice: share of the data set, as fewer samples are over-fitted more.
    """
    samples = max(growth.length or 0, growth.samples)
    if growth.parameters <= times * samples:
        raise NotApplicable(f"{growth.parameters:,} parameters are no more than {times:g} times {samples:,} samples")
    unrestrained(growth)
    if not growth.rises(lost, errors):
        return
    enough_seen(growth, seen)
    narrower = _better(growth, widths, gain)
    yield Finding(
        f"{growth.model} has {growth.parameters:,} parameters for {samples:,} samples and over-fits: {risen(growth)}",
        location=growth.location,
        subject=growth.model,
        evidence=(Evidence("parameters per sample", growth.parameters / samples, times), *figures(growth)),
        fix=Fix(
            "halve the hidden layers, or restrain them" if narrower else "restrain the hidden layers",
            _measured(widths, narrower) or "Dropout or weight decay leave a large model less room to store samples.",
        ),
        severity=gravity(narrower is not None and certain(growth, more_errors)),
    )


def _better(growth: Overfitting, widths: Widths | None, gain: float) -> Width | None:
    """Half the width, if every one of its trainings has a clearly lower held-out loss."""
    own, half = (widths.at(1.0), widths.at(0.5)) if widths is not None else (None, None)
    if own is None or half is None:
        return None
    saved = own.held_out_loss - half.held_out_loss
    return half if (saved > 0).all() and saved.mean() > gain * growth.gained else None


def _measured(widths: Widths | None, half: Width | None) -> str | None:
    own = widths.at(1.0) if widths is not None else None
    if own is None or half is None or widths is None:
        return None
    return (
        f"With {half.parameters:,} parameters the held-out loss is {half.held_out_loss.mean():.3g} instead of "
        f"{own.held_out_loss.mean():.3g} after the same {widths.steps} steps."
    )
