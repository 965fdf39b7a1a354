from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Run, Waits
from dnndoctor.rule import rule


@rule("VIS102", Severity.INFO, practice="visualisation")
def loss_synced_every_step(
    run: Run, waits: Waits | None, *, most: float = 0.9, costs: float = 0.05, fewest: int = 10
) -> Iterator[Finding]:
    """The loop waits for the accelerator in every step, to take over a value.

    What it measures
        Calls of ``item()``, ``cpu()``, ``tolist()``, ``float()`` and the like on tensors of the accelerator in the
        user's files, the steps in which they come, and the time that they take.

    Why it matters
        The host cannot prepare the next step while it waits, and the accelerator stands still while the host does.

    How to fix it
        Add the losses up where they are, and take the sum over every hundred steps.

    When to ignore it
        The steps are so long that the host is ahead all the same.

    References
        PyTorch documentation, Performance Tuning Guide, "Avoid unnecessary CPU-GPU synchronization".
        most: 0.9, this project's choice: share of the steps with a wait, for "every step".
        costs: 0.05, the rule catalogue of this project: share of the time.
        fewest: 10, this project's choice: watched steps.
    """
    if run.device == "cpu":
        raise NotApplicable("the model is trained on the CPU, where nothing waits for an accelerator")
    if waits is None or waits.watched < fewest:
        raise NotExamined(f"fewer than {fewest} steps on the accelerator were watched")
    if waits.steps < most * waits.watched or waits.share < costs:
        return
    yield Finding(
        f"in {waits.steps} of {waits.watched} steps the loop waits for the accelerator, {waits.share:.0%} of the time",
        location=waits.places[0] if waits.places else None,
        subject="loss",
        evidence=(Evidence("share of the time", waits.share, 0.0), Evidence("steps with a wait", waits.steps)),
        fix=Fix(
            "take the value over every hundred steps",
            "The host then runs ahead of the accelerator.",
            "total += loss.detach()\nif step % 100 == 99:\n    print(total.item() / 100)\n    total.zero_()",
        ),
    )
