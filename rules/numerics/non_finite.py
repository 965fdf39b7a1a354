from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Course, Finiteness, NonFinite, TrainingData
from dnndoctor.rule import rule

SAFE = {
    "log": ("Keep the logarithm's input above zero", "torch.log(x.clamp_min(1e-8))"),
    "sqrt": ("Keep the root's input above zero", "torch.sqrt(x + 1e-8)"),
    "div": ("Keep the divisor away from zero", "x / (y + 1e-8)"),
    "exp": ("Subtract the largest value before exp", "torch.exp(x - x.max(dim=-1, keepdim=True).values)"),
    "pow": ("Keep the base away from zero", "(x + 1e-8) ** p"),
    "norm": ("Keep the norm's input away from zero", "torch.sqrt((x * x).sum(-1) + 1e-8)"),
}
ALIASES = {"log2": "log", "log10": "log", "truediv": "div", "true_divide": "div", "reciprocal": "div", "rsqrt": "sqrt"}


@rule("NUM101", Severity.ERROR, practice="numerics")
def non_finite(
    finiteness: Finiteness, data: TrainingData | None, course: Course | None = None, *, fewest_steps: int = 1
) -> Iterator[Finding]:
    """A value became NaN or infinite.

    What it measures
        The first value that is not finite, in the forward pass, the backward pass or the update: the step, the
        operation and module that made it, and the range of that operation's finite input. Masks of -inf before a
        softmax do no harm and are not counted, nor are steps that a GradScaler skipped.

    Why it matters
        NaN spreads to all weights in one step; everything after it is wasted.

    How to fix it
        Keep the operation inside its domain (a clamp, an epsilon, the fused loss), or, where values grew until they
        overflowed, lower the learning rate or clip the gradient.

    When to ignore it
        Never.

    References
        IEEE 754; PyTorch, Autograd mechanics, on gradients of non-differentiable functions.
        fewest_steps: 1, arithmetic: with no step checked there is nothing to say.
    """
    first = finiteness.first
    if first is None:
        if finiteness.checked_steps < fewest_steps:
            raise NotExamined(f"{finiteness.checked_steps} steps were checked")
        return
    if first.scaler_skipped:
        return
    if first.phase == "data" and data is not None and any(each.non_finite for each in data.tensors):
        raise NotApplicable("the value came in with the data, and is reported there")
    evidence = [Evidence("step", first.step)]
    if first.input_low is not None and first.input_high is not None:
        evidence += [Evidence("lowest input", first.input_low), Evidence("largest input", first.input_high)]
    if first.loss_before:
        evidence.append(Evidence("last finite loss", first.loss_before[-1]))
    yield Finding(
        _message(first, course),
        location=first.location,
        subject=first.module or None,
        evidence=tuple(evidence),
        fix=_fix(first, course),
    )


def _at(first: NonFinite, course: Course | None) -> str:
    turn = course.lasting if course is not None else None
    if course is None or turn is None or turn.kind != "non-finite":
        return f"step {first.step}"
    return course.at(turn.step)


def _message(first: NonFinite, course: Course | None) -> str:
    kind = "NaN" if first.kind == "nan" else "an infinite value"
    logged = "logged " if course is not None and course.loss is not None and course.loss.file else ""
    if first.phase == "logged gradient":
        return f"the {logged}gradient norm is {kind} from {_at(first, course)} on, whatever the log says of the loss"
    if first.phase == "loss":
        usual = (
            f"it was {first.loss_before[-1]:.3g} at the point before" if first.loss_before else "it never was finite"
        )
        grew = "after it had grown" if first.growing else f"all at once: {usual}"
        return f"the {logged}loss is {kind} from {_at(first, course)} on, {grew}"
    if first.phase == "data":
        return f"{kind} came in with the batch of step {first.step}"
    where = f" in {first.module}" if first.module else ""
    by = f"{first.operation or 'an operation'}{where}"
    given = ""
    if first.input_low is not None and first.input_high is not None:
        given = f" from inputs between {first.input_low:.3g} and {first.input_high:.3g}"
    grew = " after values had grown steadily" if first.growing else ""
    return f"{kind} first appears in the {first.phase} pass of step {first.step}, made by {by}{given}{grew}"


def _fix(first: NonFinite, course: Course | None) -> Fix:
    if first.phase == "data":
        return Fix(
            "Drop or impute these samples", "No later step can repair them.", "keep = torch.isfinite(x).all(dim=1)"
        )
    if first.phase in ("loss", "logged gradient") and not first.growing:
        kept = course.resume(first.step) if course is not None else None
        start = f"{kept.path} ({course.at(kept.step)})" if course and kept else "a checkpoint before it"
        return Fix(
            f"look at the batch of {_at(first, course)}, and go on from {start}",
            "A sound loss that is NaN one step later comes from a bad sample, or from an operation outside of its "
            "domain (log of 0, division by 0). torch.autograd.set_detect_anomaly(True) names the operation.",
            "assert torch.isfinite(x).all()  # before the model is called",
        )
    operation = ALIASES.get(first.operation, first.operation)
    if operation in SAFE and not first.growing:
        summary, code = SAFE[operation]
        return Fix(summary, "The value and its gradient then stay finite.", code)
    return Fix(
        "Lower the learning rate, or clip the gradient norm",
        "Values that grow from step to step overflow in the end; smaller steps keep them bounded.",
        "torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)  # before optimizer.step()",
    )
