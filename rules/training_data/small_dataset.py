from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Overfitting
from dnndoctor.measurements.growth import sure
from dnndoctor.rule import rule
from dnndoctor.rules.overfit import NO_HELD_OUT_LOSS, enough_seen, figures


@rule("DAT113", Severity.INFO, practice="training-data", not_for=NO_HELD_OUT_LOSS)
def small_dataset(
    growth: Overfitting, *, times: float = 10.0, behind: float = 0.2, errors: float = 3.0, seen: float = 0.5
) -> Iterator[Finding]:
    """There are few samples for a model of this size, and it does worse on others than on those.

    What it measures
        Training samples against trainable parameters, and the loss of copies of the model on samples held out against
        that on samples trained on, over three different held-out quarters.

    Why it matters
        What is learned from few samples is often theirs alone. More samples are the one remedy that costs no accuracy.

    How to fix it
        Get more samples, make more of them (augmentation), or start from weights that were learned elsewhere.

    When to ignore it
        There are no more samples to be had, and the model is restrained.

    References
        Sun et al. 2017, Revisiting Unreasonable Effectiveness of Data in Deep Learning Era: more data still help.
        times: 10.0, this project's choice: parameters per sample.
        behind: 0.2, healthy fixtures: held-out loss above the training loss by less than 0.1 of what was gained.
        errors: 3.0, this project's choice: standard errors over three held-out quarters, all on the same side.
        seen: 0.5, this project's choice: share of the data set, as fewer samples are over-fitted more.
    """
    samples = max(growth.length or 0, growth.samples)
    if growth.parameters <= times * samples:
        raise NotApplicable(f"{growth.parameters:,} parameters are no more than {times:g} times {samples:,} samples")
    if "weights that were learned elsewhere" in growth.restraints:
        raise NotApplicable("the model starts from weights that were learned elsewhere")
    if not sure(growth.gap, errors) or growth.gap.mean() <= behind * growth.gained:
        return
    enough_seen(growth, seen)
    yield Finding(
        f"{samples:,} samples are few for {growth.parameters:,} parameters: the loss on held-out samples is "
        f"{growth.held_out_loss[:, -1].mean():.3g}, on those trained on {growth.training_loss[:, -1].mean():.3g}",
        location=growth.location,
        subject=growth.model,
        evidence=(Evidence("parameters per sample", growth.parameters / samples, times), *figures(growth)),
        fix=Fix("get more samples, augment them, or start from pretrained weights"),
    )
