from collections.abc import Iterator
from math import prod

from dnndoctor.changes import Change, Rewrite, Safety
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, Severity
from dnndoctor.measurements import LossInputs
from dnndoctor.rule import rule

ENTRY_BY_ENTRY = frozenset("mse_loss l1_loss smooth_l1_loss huber_loss poisson_nll_loss gaussian_nll_loss".split())


@rule("LOS104", Severity.ERROR, practice="loss")
def shape_broadcast_in_loss(inputs: LossInputs, *, growth: float = 1.0) -> Iterator[Finding]:
    """Prediction and target have different shapes, and the loss compares every one with every other.

    What it measures
        The shapes of what a loss that compares entry by entry is given, and of a prediction and a target that are
        subtracted, squared and summed up by hand: another number of dimensions, so that both are broadcast to more
        entries than either has. Pairs that are spread out on purpose have the same number of dimensions.

    Why it matters
        Each prediction is compared with the targets of all samples: the model learns their mean, and nothing of its
        input. The loss falls to the targets' variance and stays there.

    How to fix it
        Give both the same shape.

    When to ignore it
        All pairs are meant to be compared.

    References
        PyTorch warns: "Using a target size that is different to the input size ... will likely lead to incorrect
        results due to broadcasting".
        growth: 1.0, arithmetic: times as many entries as the larger of the two has.
    """
    compared = [each for each in inputs.all if each.function in ENTRY_BY_ENTRY]
    if not compared and not inputs.differences:
        raise NotApplicable("no loss that compares entry by entry")
    for each in compared:
        result = _broadcast(each.input_shape, each.target_shape)
        if result is not None and prod(result) > growth * max(prod(each.input_shape), prod(each.target_shape)):
            changes = _squeezed(each.input_shape, each.target_shape)
            yield _finding(each.function, each.location, each.input_shape, each.target_shape, result, changes)
    for difference in inputs.differences:
        if difference.target_shape and difference.prediction_shape:
            shapes = (difference.prediction_shape, difference.target_shape)
            changes = _squeezed(*shapes, difference.side, of=("-",))
            yield _finding("the loss", difference.location, *shapes, difference.result, changes)


def _broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
    """Their common shape; None where they have the same number of dimensions or do not fit."""
    if len(one) == len(other) or not one or not other:
        return None
    longest = max(len(one), len(other))
    padded = [(1,) * (longest - len(each)) + each for each in (one, other)]
    if any(a != b and 1 not in (a, b) for a, b in zip(*padded, strict=True)):
        return None
    return tuple(max(a, b) for a, b in zip(*padded, strict=True))


def _finding(
    function: str,
    location: Location | None,
    prediction: tuple[int, ...],
    target: tuple[int, ...],
    result: tuple[int, ...],
    changes: tuple[Change, ...],
) -> Finding:
    right = prod(target)
    return Finding(
        f"{function} compares a prediction of shape {_shape(prediction)} with a target of shape {_shape(target)}: "
        f"broadcast to {_shape(result)}, {prod(result)} pairs instead of {right}",
        location=location,
        evidence=(Evidence("pairs compared", prod(result), right),),
        fix=Fix(
            "Give prediction and target the same shape",
            "Each prediction is then compared with its own target only.",
            _code(prediction, target),
            changes,
        ),
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _code(prediction: tuple[int, ...], target: tuple[int, ...]) -> str:
    if len(prediction) > len(target):
        return f"loss = criterion(output.squeeze({_single(prediction)}), target)"
    return f"loss = criterion(output, target.squeeze({_single(target)}))"


def _single(shape: tuple[int, ...]) -> int:
    """The axis of one entry, the batch's left out."""
    return next((i for i, size in enumerate(shape) if size == 1 and i), -1)


def _squeezed(
    prediction: tuple[int, ...], target: tuple[int, ...], side: int = 0, of: tuple[str, ...] = ()
) -> tuple[Change, ...]:
    """An axis is taken from the longer of the two, if that makes them equal; ``side``: the prediction's."""
    longer, shorter = sorted((prediction, target), key=len, reverse=True)
    axis = _single(longer)
    if axis < 0 or longer[:axis] + longer[axis + 1 :] != shorter:
        return ()
    argument = side if longer is prediction else 1 - side
    return (Rewrite(f"{{it}}.squeeze({axis})", argument=argument, of=of, safety=Safety.SAFE),)
