from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Overfitting, WarmStart
from dnndoctor.measurements.growth import sure
from dnndoctor.rule import rule
from dnndoctor.rules.overfit import NO_HELD_OUT_LOSS


@rule("PRE105", Severity.INFO, practice="pretraining", not_for=NO_HELD_OUT_LOSS)
def pretraining_would_help(
    growth: Overfitting, warm_start: WarmStart | None, *, sigmas: float = 2.0, gain: float = 0.05, plenty: int = 10_000
) -> Iterator[Finding]:
    """Hidden layers that first learn to restore noisy inputs do better on held-out samples afterwards.

    What it measures
        Copies of the model whose layers before the last one learn to restore the inputs from noisy ones, and are then
        trained as the user trains, against copies that are trained alone: the lowest held-out loss of each, over three
        different held-out quarters. No label is used in the first part.

    Why it matters
        Where labels are few the inputs themselves tell how they are made, and more of them are often to be had.

    How to fix it
        Train the hidden layers as a denoising auto-encoder on all inputs there are, then put the last layer on.

    When to ignore it
        More labels are easier to get, or the gain is not worth a second training.

    References
        Vincent et al. 2010, Stacked Denoising Autoencoders: corrupted inputs, restored.
        Erhan et al. 2010, Why Does Unsupervised Pre-training Help Deep Learning: it restrains like a regularizer.
        sigmas: 2.0, this project's choice: standard errors over the quarters, and all three on the same side.
        gain: 0.05, this project's choice: share of what training from scratch gains.
        plenty: 10000, this project's choice: labelled samples from which on a denoising start hardly pays.
    """
    if "weights that were learned elsewhere" in growth.restraints:
        raise NotApplicable("the model starts from weights that were learned elsewhere")
    if not growth.grows:
        raise NotApplicable("no over-fitting was measured: from the inputs alone nothing is to be gained")
    if growth.samples >= plenty:
        raise NotApplicable(f"labels are plentiful: {growth.samples:,} samples")
    if warm_start is None:
        raise NotExamined("a warm start could not be tried on this model, or there was no time for it")
    saved = warm_start.scratch - warm_start.warm
    gained = max(warm_start.start - float(warm_start.scratch.mean()), 0.0)
    if not sure(saved, sigmas) or saved.mean() <= gain * gained:
        return
    scratch, warm = float(warm_start.scratch.mean()), float(warm_start.warm.mean())
    yield Finding(
        f"after learning to restore noisy inputs the model gets to a held-out loss of {warm:.3g}, from scratch to "
        f"{scratch:.3g}, in the same {warm_start.steps} steps",
        location=growth.location,
        subject=growth.model,
        evidence=(Evidence("held-out loss from scratch", scratch, warm),),
        fix=Fix(
            "let the hidden layers learn to restore noisy inputs first",
            f"The held-out loss is lower by {scratch - warm:.2g}; inputs without labels can be used as well.",
            "loss = F.mse_loss(decoder(encoder(x + 0.3 * torch.randn_like(x))), x)  # before the training with labels",
        ),
    )
