from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import LossInputs
from dnndoctor.rule import rule
from dnndoctor.rules.edits import exchange

NO_OUTLIERS = {
    "gan": "in adversarial training the squared error compares scores",
    "reinforcement": "rare rewards are what is to be learnt",
    "contrastive": "distances between samples are no residuals",
    "diffusion": "the target is noise of a known distribution",
}


@rule("LOS108", Severity.WARNING, practice="loss", not_for=NO_OUTLIERS)
def outliers_under_squared_error(
    inputs: LossInputs,
    *,
    share: float = 0.5,
    rare: float = 0.05,
    fewest_rows: int = 200,
    floor: float = 0.01,
) -> Iterator[Finding]:
    """A few outlying targets make most of the squared error.

    What it measures
        In the later half of the watched steps: the part of the squared error that the worst 2 % of the samples make
        (14 % for normal residuals), and whether it is their targets that lie far out, beyond six robust standard
        deviations. Not judged where nearly all of the targets' variance is explained already.

    Why it matters
        The gradient of a squared error grows with the residual, so that the model is fitted to the outliers and the
        ordinary samples hardly count.

    How to fix it
        Use the Huber or absolute error, look at these samples, or take the logarithm of a target with a long tail.

    When to ignore it
        The rare large values are what matters (peak loads, extreme events).

    References
        Huber 1964, Robust Estimation of a Location Parameter.
        share: 0.5, this project's choice: more than three times what normal residuals give.
        rare: 0.05, this project's choice: more of them are a part of the distribution.
        fewest_rows: 200, arithmetic: 2 % of fewer are less than four samples.
        floor: 0.01, this project's choice: below this share of the targets' variance the residuals are the model's own.
    """
    judged = [each for each in inputs.all if each.function == "mse_loss" and each.input_differentiable]
    if not judged:
        raise NotApplicable("no squared error")
    measured = [each for each in judged if each.judged_rows >= fewest_rows]
    if not measured:
        raise NotExamined(f"fewer than {fewest_rows} residuals were sampled")
    for each in measured:
        explained = each.late_error < floor * each.target_std**2 or each.target_differentiable
        if explained or each.outliers_share_of_error <= share or each.outlying > rare:
            continue
        rest, far = 1 - each.outliers_share_of_error, max(each.target[-1], each.target[0], key=abs)
        yield Finding(
            f"{each.outlying:.1%} of the samples make {each.outliers_share_of_error:.0%} of the squared error: "
            f"targets reach {far:.3g} where the median is {each.target[3]:.3g}",
            location=each.place,
            evidence=(
                Evidence("share of the error by outliers among the worst 2 %", each.outliers_share_of_error, 0.14),
                Evidence("outlying targets", each.outlying, 0.0),
                Evidence("largest target", each.target[-1]),
                Evidence("smallest target", each.target[0]),
            ),
            fix=Fix(
                "Use the Huber loss",
                f"A sample's pull is then bounded, and the others make more of it than {rest:.0%}.",
                "criterion = nn.SmoothL1Loss()  # or nn.HuberLoss(delta=...)",
                exchange("mse_loss", "smooth_l1_loss", each.place) if not each.by_hand else (),
            ),
        )
