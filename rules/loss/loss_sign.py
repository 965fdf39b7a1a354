from collections.abc import Iterator

import numpy as np

from dnndoctor.changes import RemoveArgument, Rewrite, Safety, Unwrap
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import LossInput, LossInputs, Optimizers, Run, Steps, TrainingLoop
from dnndoctor.rule import rule

HAS_A_FLOOR = frozenset(
    "cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss "
    "huber_loss".split()
)
NORMALISED = 0.1  # nats that log-probabilities may miss 1 by
PULLS_BOTH_WAYS = {
    "gan": "in adversarial training one network maximises what the other minimises",
    "reinforcement": "in reinforcement learning the loss follows the sign of the advantage",
    "contrastive": "dissimilarities are maximised",
    "diffusion": "the loss may be a likelihood bound",
    "variational": "the loss is a bound on the likelihood and may be negative",
}


@rule("LOS106", Severity.ERROR, practice="loss", not_for=PULLS_BOTH_WAYS)
def loss_sign(
    inputs: LossInputs | None,
    steps: Steps,
    optimizers: Optimizers | None,
    run: Run | None,
    loop: TrainingLoop | None,
    *,
    fewest_steps: int = 10,
    below: float = 0.9,
    beyond: float = 0.01,
) -> Iterator[Finding]:
    """Training goes the wrong way: the loss has the wrong sign, or has lost its floor.

    What it measures
        A loss that cannot be negative, times a factor, where what backward is called on is negative, or that the
        optimizer maximises; a mean log-probability that is minimised as it is, negative in nearly all steps and
        falling; a binary cross-entropy whose targets lie outside of 0 to 1. Sums of terms of both signs are not judged.

    Why it matters
        The true classes are made less likely, or the errors larger, with every step, and the loss falls without bound.

    How to fix it
        Minimise the loss itself, or the negative log-probability; bring targets to 0 and 1.

    When to ignore it
        The model is meant to unlearn these samples.

    References
        PyTorch, BCEWithLogitsLoss: targets are numbers between 0 and 1. Arithmetic: a log-probability is at most 0.
        fewest_steps: 10, this project's choice: steps before a falling likelihood is called one.
        below: 0.9, this project's choice: share of steps whose loss is negative.
        beyond: 0.01, this project's choice: how far targets may lie outside of 0 to 1.
    """
    if inputs is None:
        raise NotExamined("what the loss is made of was not seen")
    if not (inputs.all or inputs.likelihood):
        raise NotApplicable("no loss of a known sign")
    judged = [each for each in inputs.all if each.function in HAS_A_FLOOR and each.input_differentiable]
    if not judged and inputs.likelihood is None:
        raise NotApplicable("no loss of a known sign")
    trained = [each for each in loop.models if each.trainable] if loop is not None else []
    if trained and all(each.tensors for each in trained):
        raise NotApplicable("single tensors are trained and no model: a perturbation, say")
    loaded = run is not None and run.pretrained
    negative = _mostly_negative(steps, below)
    found = [_negated(each) for each in judged if each.linear and negative and not loaded and _has_its_floor(each)]
    if not found and not loaded and optimizers is not None:
        found = _maximised(judged, optimizers)
    if not found and inputs.likelihood is not None and negative and _falls(steps, fewest_steps):
        found = [_minimised_likelihood(inputs, steps)]
    yield from found[:1]
    yield from (f for each in judged if (f := _unbounded(each, beyond)) is not None)


def _has_its_floor(each: LossInput) -> bool:
    """The likelihood has it only where it is given log-probabilities; of raw scores it falls for ever by itself."""
    return each.function != "nll_loss" or each.log_normaliser is None or abs(each.log_normaliser) < NORMALISED


def _negated(each: LossInput) -> Finding:
    return Finding(
        f"{each.function} has a negative factor before backward: every step raises a loss whose floor is 0",
        location=each.sign or each.location,
        evidence=(Evidence("sign of the loss", -1, 1),),
        fix=Fix(
            "Remove the minus sign",
            "Each step then lowers the loss.",
            "loss = criterion(output, target)",
            (Unwrap(of=("neg",), method=True, safety=Safety.SAFE),) if each.sign is not None else (),
        ),
    )


def _maximised(judged: list[LossInput], optimizers: Optimizers) -> list[Finding]:
    upward = [each for each in optimizers.all if each.settings.get("maximize")]
    plain = [each for each in judged if each.linear]
    if not upward or not plain or len(upward) < len(optimizers.all):
        return []
    return [
        Finding(
            f"{upward[0].name} maximises {plain[0].function}, whose best value is 0",
            location=upward[0].location,
            subject=upward[0].name,
            evidence=(Evidence("maximize", 1, 0),),
            fix=Fix(
                "Leave maximize out",
                "Each step then lowers the loss.",
                "maximize=False",
                (RemoveArgument("maximize", of=(upward[0].name,), safety=Safety.SAFE),),
            ),
        )
    ]


def _mostly_negative(steps: Steps, below: float) -> bool:
    loss = steps.loss[np.isfinite(steps.loss)]
    return bool(loss.size and (loss < 0).mean() >= below)


def _falls(steps: Steps, fewest: int) -> bool:
    loss = steps.loss[np.isfinite(steps.loss)]
    third = loss.size // 3
    return loss.size >= fewest and bool(np.median(loss[-third:]) < np.median(loss[:third]))


def _minimised_likelihood(inputs: LossInputs, steps: Steps) -> Finding:
    first, last = float(steps.loss[0]), float(steps.loss[np.isfinite(steps.loss)][-1])
    place = inputs.likelihood.location if inputs.likelihood is not None else None
    return Finding(
        f"a log-probability is minimised: it falls from {first:.3g} to {last:.3g}, away from its best value 0",
        location=place or steps.location,
        evidence=(Evidence("loss", last, 0.0), Evidence("loss at the start", first)),
        fix=Fix(
            "Minimise the negative log-probability",
            "Each step then makes the true classes more likely.",
            "loss = -log_probs.gather(1, target.unsqueeze(1)).mean()",
            (Rewrite("-{it}", of=("mean", "sum"), method=True, safety=Safety.SAFE),) if place is not None else (),
        ),
    )


def _unbounded(each: LossInput, beyond: float) -> Finding | None:
    if not each.function.startswith("binary_cross_entropy") or not each.target:
        return None
    low, high = each.target[0], each.target[-1]
    if low >= -beyond and high <= 1 + beyond:
        return None
    return Finding(
        f"{each.function} is given targets between {low:.3g} and {high:.3g}: "
        "outside of 0 to 1 it has no floor and falls without bound",
        location=each.location,
        evidence=(Evidence("smallest target", low, 0.0), Evidence("largest target", high, 1.0)),
        fix=Fix(
            "Bring the targets to 0 and 1",
            "The loss then has its minimum where prediction and target agree.",
            "target = (target + 1) / 2  # from -1 and 1" if low < 0 else "target = target / target.max()",
            (Rewrite("({it} + 1) / 2", argument=1, safety=Safety.SAFE),) if each.distinct == (-1.0, 1.0) else (),
        ),
    )
