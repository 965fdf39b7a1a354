from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import exp, inf, log

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Fed, LossInput, LossInputs
from dnndoctor.rule import rule
from dnndoctor.rules.edits import take_away
from dnndoctor.rules.loss.feeding import UNCHANGED, fed_by

RANGES: Mapping[str, tuple[float, float]] = {
    "relu": (0.0, inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, inf),
    "elu": (-1.0, inf),
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hardtanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "log_softmax": (-inf, 0.0),
    "logsigmoid": (-inf, 0.0),
}
DISTANCES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
SQUASHED = ("sigmoid", "hardsigmoid", "tanh", "hardtanh", "softsign")


@rule("ACT107", Severity.ERROR, practice="activation-functions")
def output_activation_mismatch(
    inputs: LossInputs, *, beyond: float = 0.1, fewest_rows: int = 32, floor: float = 0.1
) -> Iterator[Finding]:
    """The last activation cannot give what the loss asks for.

    What it measures
        The range of an activation that feeds the loss with nothing between, against the targets: for squared and
        absolute errors 5 % of them lie outside of it. For losses over scores: a ReLU before a binary cross-entropy with
        logits, which makes every probability at least 0.5, or a sigmoid (tanh: a warning) before a cross-entropy, where
        the loss has a floor well above 0.

    Why it matters
        These targets cannot be reached by any weights; units at the edge of their range have no gradient.

    How to fix it
        Leave the last layer without an activation, or bring the targets into its range.

    When to ignore it
        Never known to be meant.

    References
        Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2, Output Units.
        beyond: 0.1, this project's choice: standard deviations of the targets by which they miss the range.
        fewest_rows: 32, this project's choice: targets that were looked at.
        floor: 0.1, this project's choice: nats of cross-entropy that no weights can go below.
    """
    judged = [(each, fed) for each in inputs.all if (fed := fed_by(each.chain, RANGES, UNCHANGED)) is not None]
    if not judged:
        raise NotApplicable("no activation stands between the last layer and a known loss")
    if all(each.function in DISTANCES and each.rows < fewest_rows for each, _ in judged):
        raise NotExamined(f"fewer than {fewest_rows} targets were sampled")
    reported = set()
    for each, fed in judged:
        if fed.location in reported:
            continue
        if each.function in DISTANCES:
            found = _unreachable(each, fed, beyond) if each.rows >= fewest_rows else None
        elif each.function == "binary_cross_entropy_with_logits" and fed.name in ("relu", "relu6", "softplus"):
            found = _finding(each, fed, "scores are never negative, so that no probability is under 0.5", 0.5, 0.0)
        elif each.function == "cross_entropy" and fed.name in SQUASHED:
            found = _squashed(each, fed, floor)
        else:
            found = None
        if found is not None:
            reported.add(fed.location)
            yield found


def _unreachable(each: LossInput, fed: Fed, beyond: float) -> Finding | None:
    low, high = RANGES[fed.name]
    slack = beyond * each.target_std
    _, _, fifth, _, ninety_fifth, _, _ = each.target
    if fifth >= low - slack and ninety_fifth <= high + slack:
        return None
    wrong = fifth if fifth < low - slack else ninety_fifth
    return _finding(
        each, fed, f"targets reach {wrong:.3g} and beyond in 5 % of the entries", wrong, low if wrong < low else high
    )


def _squashed(each: LossInput, fed: Fed, floor: float) -> Finding | None:
    classes = each.input_shape[1] if len(each.input_shape) > 1 else 0
    low, high = RANGES[fed.name]
    lowest = log(1 + (classes - 1) * exp(low - high)) if classes > 1 else 0.0
    if lowest < floor:
        return None
    found = _finding(each, fed, f"the loss cannot fall below {lowest:.3g} for {classes} classes", lowest, 0.0)
    return found if "sigmoid" in fed.name else replace(found, severity=Severity.WARNING)


def _finding(each: LossInput, fed: Fed, why: str, value: float, expected: float) -> Finding:
    low, high = RANGES[fed.name]
    return Finding(
        f"the {fed.name} at the output gives {low:g} to {high:g} only, and {why}",
        location=fed.location or each.place,
        subject=fed.module or None,
        evidence=(
            Evidence("out of reach", value, expected),
            Evidence("lowest output", low),
            Evidence("highest output", high),
        ),
        fix=Fix(
            "Leave the last layer without an activation",
            f"{each.function} then gets numbers of any size.",
            f"return self.head(x)  # no {fed.name}",
            take_away(fed),
        ),
    )
