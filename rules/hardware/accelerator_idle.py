from collections.abc import Iterator

from dnndoctor.changes import Change, InsertBefore, Rewrite
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import LossInputs, Modes, Optimizers, Run, TrainingData
from dnndoctor.rule import rule

DEVICES = ("mps", "xpu")  # known by their own names; others have one of CUDA's


@rule("HWR101", Severity.ERROR, practice="hardware")
def accelerator_idle(
    run: Run,
    optimizers: Optimizers | None,
    modes: Modes | None = None,
    inputs: LossInputs | None = None,
    data: TrainingData | None = None,
    *,
    fewest_parameters: int = 100_000,
) -> Iterator[Finding]:
    """The machine has an accelerator, but model and data stay on the CPU.

    What it measures
        Where the model's parameters were during the watched steps, and which accelerators PyTorch can use here.

    Why it matters
        A network of some size trains up to some seventy times faster on an accelerator; idle, it is paid for all
        the same.

    How to fix it
        Move the model before the optimizer is made, and every batch as it comes.

    When to ignore it
        The accelerator is kept for another job. Small networks, for which the way there costs more than it saves, are
        left out already.

    References
        Raina, Madhavan and Ng 2009, Large-scale Deep Unsupervised Learning using Graphics Processors: up to 70x.
        fewest_parameters: 100000, this project's choice: a smaller network's step is mostly overhead on both.
    """
    if not run.device:
        raise NotExamined("on which device it ran is not known")
    if run.accelerator is None:
        raise NotApplicable("this machine has no accelerator")
    if run.device == "cpu" and run.parameters < fewest_parameters:
        raise NotApplicable(f"{run.parameters} parameters are too few to gain")
    if run.device != "cpu":
        return
    yield Finding(
        f"{run.parameters} parameters are trained on the CPU while {run.accelerator} is idle",
        location=optimizers.main.location if optimizers else None,
        subject=run.models[0] if run.models else None,
        evidence=(Evidence("parameters on the CPU", run.parameters, 0),),
        fix=Fix(
            f"move model and batches to {run.accelerator}",
            f"All {run.steps} watched steps ran on the CPU.",
            "device = torch.accelerator.current_accelerator()\n"
            "model = model.to(device)  # before the optimizer is made\n"
            "x, y = x.to(device), y.to(device)",
            _moved(run, optimizers, modes, inputs, data),
        ),
    )


def _moved(
    run: Run, optimizers: Optimizers | None, modes: Modes | None, inputs: LossInputs | None, data: TrainingData | None
) -> tuple[Change, ...]:
    """The model before its optimizer, one input at every call of the model, and the target at every loss."""
    if optimizers is None or modes is None or inputs is None or data is None:
        return ()
    built, losses = optimizers.main.location, [each.location for each in inputs.all]
    calls = [each.location for each in modes.passes]
    plain = len(data.role("input")) == 1 and losses and not any(each.by_hand for each in inputs.all)
    if built is None or None in (*calls, *losses) or not plain or len(run.models) != 1:
        return ()
    device = run.accelerator if run.accelerator in DEVICES else "cuda"
    moved = f'{{it}}.to("{device}")'
    return (
        InsertBefore(f'model.to("{device}")', at=built),
        *(Rewrite(moved, argument=0, at=place) for place in dict.fromkeys(calls)),
        *(Rewrite(moved, argument=1, at=place) for place in dict.fromkeys(losses)),
    )
