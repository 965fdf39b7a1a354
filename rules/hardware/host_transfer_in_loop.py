from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Run, Steps, Transfers
from dnndoctor.rule import rule


@rule("HWR106", Severity.WARNING, practice="hardware")
def host_transfer_in_loop(
    run: Run, transfers: Transfers, steps: Steps, *, share: float = 0.1, often: float = 0.9
) -> Iterator[Finding]:
    """The same tensor is copied to the accelerator again in every step.

    What it measures
        Copies from the host to the accelerator: whether the very same, unchanged tensor goes in nearly every step, and
        how long one such copy takes, against the length of a step.

    Why it matters
        The bus is the slowest part of the machine, and the accelerator waits for it.

    How to fix it
        Copy what does not change once, before the loop; make it a buffer of the model.

    When to ignore it
        The tensor is too large to stay on the accelerator.

    References
        NVIDIA 2024, CUDA C++ Best Practices Guide, section 10.1: minimize transfers between host and device.
        share: 0.1, this project's choice: of a step; below it a copy is no matter.
        often: 0.9, this project's choice: of the watched steps.
    """
    if run.device == "cpu":
        raise NotApplicable("training runs on the CPU")
    if not run.steps:
        raise NotExamined("no step was watched")
    step = float(np.median(steps.compute_seconds))
    for each in transfers.copies:
        if each.steps < often * run.steps or each.seconds < share * step:
            continue
        yield Finding(
            f"the same {each.bytes / 2**20:.3g} MiB go to the accelerator in {each.steps} of {run.steps} steps, "
            f"{each.seconds / step:.0%} of a step",
            location=each.location,
            evidence=(Evidence("copies", each.steps, 1), Evidence("share of a step", each.seconds / step, 0)),
            fix=Fix(
                "copy it once, before the loop",
                f"Saves {each.seconds:.2g} s in each step.",
                'self.register_buffer("table", table)  # and model.to(device), once',
            ),
        )
