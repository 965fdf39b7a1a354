from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import MixedPrecision, Run, TrainingLoop
from dnndoctor.rule import rule
from dnndoctor.rules.places import largest_model


@rule("HWR103", Severity.INFO, practice="hardware")
def mixed_precision_unused(
    run: Run, precision: MixedPrecision | None, loop: TrainingLoop | None, *, gain: float = 1.2
) -> Iterator[Finding]:
    """The accelerator multiplies in full precision, though mixed precision is measured to be faster.

    What it measures
        Whether the device has tensor cores, whether half precision or TF32 is in use, and the time of forward and
        backward of the model as they are and under autocast.

    Why it matters
        Tensor cores multiply several times faster in half precision and hold twice as much.

    How to fix it
        Run the forward pass under ``torch.autocast``; with float16 scale the loss. Or allow TF32, which changes the
        least.

    When to ignore it
        The model was tried in half precision and lost accuracy.

    References
        Micikevicius et al. 2018, Mixed Precision Training, sections 3 and 4: the same accuracy, twice the speed.
        gain: 1.2, this project's choice: times as fast; below it is not worth the care that it takes.
    """
    if run.device == "cpu":
        raise NotApplicable("training runs on the CPU")
    if precision is None:
        raise NotExamined("mixed precision was not tried")
    if not precision.tensor_cores:
        raise NotApplicable(f"{run.accelerator} has no tensor cores")
    if precision.half or precision.tf32 or precision.seconds is None or precision.mixed_seconds is None:
        return
    faster = precision.seconds / max(precision.mixed_seconds, 1e-12)
    if faster < gain:
        return
    yield Finding(
        f"forward and backward are {faster:.1f} times as fast in {precision.kind} as in the full precision they run in",
        location=largest_model(loop),
        evidence=(Evidence("pass", precision.seconds, precision.mixed_seconds, "s"),),
        fix=Fix(
            "train in mixed precision",
            f"A pass takes {precision.mixed_seconds:.3g} s instead of {precision.seconds:.3g} s.",
            f'with torch.autocast("cuda", torch.{precision.kind}):\n    loss = loss_fn(model(x), y)',
        ),
    )
