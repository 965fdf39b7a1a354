from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Optimizers, Run
from dnndoctor.rule import rule


@rule("HWR101", Severity.ERROR, practice="hardware")
def accelerator_idle(run: Run, optimizers: Optimizers | None, *, fewest_parameters: int = 100_000) -> Iterator[Finding]:
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
        ),
    )
