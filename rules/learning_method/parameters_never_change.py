import re
from collections.abc import Iterator
from dataclasses import replace

from dnndoctor.changes import Unwrap
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Activations, Clearings, Parameter, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.naming import listed


@rule("OPT104", Severity.ERROR, practice="learning-method")
def parameters_never_change(
    weights: Weights, activations: Activations | None, clearings: Clearings | None, *, fewest_steps: int = 3
) -> Iterator[Finding]:
    """An optimizer holds parameters that the loss does not reach.

    What it measures
        Parameters whose gradient was None or exactly zero through all watched steps at a rate above zero, and the
        operation that cuts them off from the loss. One finding for each such operation. Biases beside a weight that
        learns are left out. Parameters that no forward pass used are reported as information, as is what the last of
        several equal blocks computes for a next one that is not there; recurrent weights that only ever meet a state
        of zeros as a warning.

    Why it matters
        They stay at their random start, however long training takes; what they feed into is noise to the rest.

    How to fix it
        Take the operation that has no gradient (``detach``, ``.data``, ``argmax``, a trip through numpy,
        ``torch.no_grad``) out of the way from these parameters to the loss.

    When to ignore it
        The part is meant to be frozen: then set ``requires_grad_(False)`` and leave it out of the optimizer.

    References
        PyTorch documentation, Autograd mechanics, "Locally disabling gradient computation".
        fewest_steps: 3, this project's choice: behind a zero-initialised branch the first step has no gradient, the
        second has.
    """
    held = [each for each in weights.parameters if each.trainable and each.optimizer is not None and not each.sparse]
    judged = [each for each in held if each.effective_steps >= fewest_steps]
    if not held:
        raise NotApplicable("no optimizer holds a parameter with a dense gradient")
    if not judged:
        raise NotExamined(f"fewer than {fewest_steps} steps at a rate above zero were watched")
    still = [each for each in judged if not each.received_gradient and not _cancels(each, weights)]
    blocked = _blocked_elsewhere(weights, activations) or any(
        c.empty for c in (clearings.optimizers if clearings else ())
    )
    idle = [each for each in still if _multiplies_zeros(each, weights)]
    still = [each for each in still if each not in idle or not _other_direction_learns(each, weights)]
    idle = [each for each in idle if each in still]
    groups: dict[tuple[bool, bool, str | None, Location | None], list[Parameter]] = {}
    for each in still:
        if each in idle or (each.used and each.cut_by is None and blocked):
            continue
        groups.setdefault((each.used, each.zero_gradient, each.cut_by, each.cut_at), []).append(each)
    if not groups and still and not idle:
        raise NotExamined("dead or zero layers, or cleared gradients, leave nothing to judge by")
    if idle:
        yield _one_step_only(idle)
    for (used, zero, cut_by, cut_at), group in groups.items():
        if used and zero and not cut_by:
            yield _all_zero(group)
        elif used and not cut_by and all(_of_the_last_block(each, weights) for each in group):
            yield _left_over(group)
        else:
            yield _finding(group, used, cut_by, cut_at)


def _blocked_elsewhere(weights: Weights, activations: Activations | None) -> bool:
    """Whether a dead layer or a matrix of zeros stops gradients, which other rules report."""
    dead = activations is not None and any(each.history[-1].dead_share >= 1.0 for each in activations.hidden())
    return dead or any(each.constant and each.max_abs == 0 and each.kind == "weight" for each in weights.parameters)


def _cancels(each: Parameter, weights: Weights) -> bool:
    """Whether a bias has no gradient though its weight has: the loss is blind to a shift there, as in a Wasserstein
    critic, before a norm or in a difference of two outputs. Nothing cuts it off."""
    module, _, name = each.name.rpartition(".")
    if each.kind != "bias" or not name.startswith("bias"):
        return False
    beside = weights.named(".".join(filter(None, (module, name.replace("bias", "weight", 1)))))
    return beside is not None and beside.received_gradient


def _multiplies_zeros(each: Parameter, weights: Weights) -> bool:
    """Whether these recurrent weights only meet the initial state: the input weights beside them do learn.

    Where those of the other direction learn too, the wrong end of a bidirectional layer's output is read.
    """
    module, _, name = each.name.rpartition(".")
    if not each.used or each.cut_by is not None or not name.startswith("weight_hh"):
        return False
    beside = weights.named(".".join(filter(None, (module, name.replace("_hh", "_ih", 1)))))
    return beside is not None and beside.received_gradient


def _other_direction_learns(each: Parameter, weights: Weights) -> bool:
    name = each.name.removesuffix("_reverse") if each.name.endswith("_reverse") else f"{each.name}_reverse"
    other = weights.named(name)
    return other is not None and other.received_gradient


def _of_the_last_block(each: Parameter, weights: Weights) -> bool:
    """Whether the same parameter of every earlier block learns: what blocks hand on, the last one hands to nobody."""
    for number in re.finditer(r"(?<![^.])\d+(?![^.])", each.name):
        head, tail, index = each.name[: number.start()], each.name[number.end() :], int(number[0])
        earlier = [weights.named(f"{head}{before}{tail}") for before in range(index)]
        last = weights.named(f"{head}{index + 1}{tail}") is None
        if earlier and last and all(one is not None and one.received_gradient for one in earlier):
            return True
    return False


def _left_over(group: list[Parameter]) -> Finding:
    names = listed([each.name for each in group])
    return Finding(
        f"{names} had no gradient: the last of several blocks computes what no next one takes",
        next((each.location for each in group if each.location), None),
        names,
        (Evidence("parameters without a gradient", len(group), 0),),
        Fix(
            f"leave {group[0].module or names} out of the last block",
            f"{sum(each.size for each in group)} entries are computed and held in memory for nothing.",
        ),
        Severity.INFO,
    )


def _one_step_only(group: list[Parameter]) -> Finding:
    steps, names = min(each.effective_steps for each in group), listed([each.name for each in group])
    return Finding(
        f"{names} had no gradient in {steps} steps: they only ever multiply the initial state of zeros",
        next((each.location for each in group if each.location), None),
        names,
        (Evidence("parameters without a gradient", len(group), 0), Evidence("steps", steps)),
        Fix("give the network whole sequences", "As it is, nothing is remembered: the sequences are 1 step long."),
        Severity.WARNING,
    )


def _all_zero(group: list[Parameter]) -> Finding:
    steps, names = min(each.effective_steps for each in group), listed([each.name for each in group])
    return Finding(
        f"the gradient of {names} was exactly zero in all of {steps} steps, though a way leads from them to the loss",
        next((each.location for each in group if each.location), None),
        names,
        (Evidence("parameters with a gradient of zero", len(group), 0), Evidence("steps", steps)),
        Fix(
            "find what multiplies the gradient by zero",
            f"Lets {sum(each.size for each in group)} entries learn that now never change. A factor of 0, an "
            "activation on its flat side, and float16 without a GradScaler do that.",
        ),
    )


def _finding(group: list[Parameter], used: bool, cut_by: str | None, cut_at: Location | None) -> Finding:
    steps, names = min(each.effective_steps for each in group), listed([each.name for each in group])
    figures = (Evidence("parameters without a gradient", len(group), 0), Evidence("steps", steps))
    place = next((each.location for each in group if each.location), None)
    module = group[0].module or "model"
    if not used:
        message = f"{names} took part in no forward pass of {steps} steps, so the optimizer never changes them"
        fix = Fix(f"use {module} or take it out", f"{len(group)} parameters are held in memory for nothing.")
        return Finding(message, place, names, figures, fix, Severity.INFO)
    why = f": {cut_by} cuts them off from the loss" if cut_by else ": nothing leads from them to the loss"
    message = f"{names} had no gradient in {steps} steps{why}"
    summary = f"take {cut_by} out of the way to the loss" if cut_by else f"let the loss depend on {module}"
    fix = Fix(summary, f"Lets {sum(each.size for each in group)} entries learn that now never change.", _code(cut_by))
    if cut_by == "detach" and cut_at is not None:
        fix = replace(fix, changes=(Unwrap(at=cut_at, of=("detach",), method=True),))
    return Finding(message, cut_at or place, names, figures, fix)


def _code(cut_by: str | None) -> str:
    if cut_by in ("argmax", "round", "sign", "floor", "ceil"):
        return "loss = F.cross_entropy(scores, target)  # the scores themselves, up to the loss"
    return f"# without {cut_by}" if cut_by else "assert h.requires_grad  # from these parameters to the loss"
