from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Habits, History, Loaders, Modes, Plan, Run
from dnndoctor.rule import rule

UNSEEN = {
    "gan": "samples are looked at, and no held-out loss",
    "reinforcement": "episodes are the test",
}


@rule("EPO101", Severity.WARNING, practice="epochs", not_for=UNSEEN)
def no_validation(
    plan: Plan,
    habits: Habits,
    history: History,
    modes: Modes | None,
    loaders: Loaders | None,
    run: Run | None,
    *,
    fewest_epochs: int = 5,
    long: float = 1200.0,
    fewest_samples: int = 1000,
) -> Iterator[Finding]:
    """A run of many epochs never looks at data that it does not train on.

    What it measures
        Passes without gradients or over another loader while the loop was watched, any name in the source that speaks
        of validation, a test or a metric, and the length of the run from its loops.

    Why it matters
        The loss on the training data falls as long as there is capacity. Whether the model learns anything that holds
        elsewhere, and when to stop, only other data tell.

    How to fix it
        Keep a tenth of the data back, and take the loss on it once per epoch, in evaluation mode and without gradients.

    When to ignore it
        The run is a demonstration, or the evaluation is another program.

    References
        Prechelt 1998, Early Stopping - But When?, section 1.
        fewest_epochs: 5, this project's choice: shorter runs are tries.
        long: 1200.0, this project's choice: seconds, from which on a wasted run is worth a warning.
        fewest_samples: 1000, this project's choice: and a data set of which a tenth can be spared.
    """
    if plan.framework is not None:
        raise NotExamined(f"the loop is {plan.framework}'s, and what it evaluates is not in the source")
    if plan.epochs is None:
        raise NotExamined("how many epochs the run is meant to make could not be read from the source")
    if plan.epochs < fewest_epochs:
        raise NotApplicable(f"the run is {plan.epochs} epochs long")
    seen = modes is not None and any(each.purpose == "evaluation" for each in modes.passes)
    if seen or habits.evaluates is not None or len(history.validation_step):
        return
    samples = (loaders.dataset_length if loaders is not None else None) or 0
    supervised = run is None or run.family == "supervised"
    serious = supervised and (plan.seconds or 0.0) >= long and samples >= fewest_samples
    yield Finding(
        f"nothing is evaluated in {plan.epochs} epochs: no pass over other data, and no line that speaks of one",
        location=plan.location,
        subject="validation",
        evidence=(Evidence("planned epochs", plan.epochs), Evidence("evaluations", 0)),
        fix=Fix(
            "evaluate once per epoch",
            "The epoch at which the model is best is then known.",
            "model.eval()\nwith torch.no_grad():\n"
            "    val_loss = sum(loss_fn(model(x), y).item() for x, y in val_loader)",
        ),
        severity=Severity.WARNING if serious else Severity.INFO,
    )
