from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Groups, Habits, Optimizers, Plan, Schedules
from dnndoctor.rule import rule

NEEDS_NONE = ("schedulefree", "prodigy", "dadapt", "lbfgs", "rprop", "adadelta", "dog", "mechanic")


@rule(
    "LRN106",
    Severity.INFO,
    practice="learning-rate",
    not_for={
        "gan": "adversarial training does not converge to a point, and is run at constant rates",
        "reinforcement": "the data change with the policy, and constant rates are usual",
    },
)
def no_decay(
    plan: Plan,
    optimizers: Optimizers,
    schedules: Schedules,
    groups: Groups,
    habits: Habits | None,
    *,
    most_epochs: int = 20,
    most_steps: int = 50_000,
) -> Iterator[Finding]:
    """A long run keeps one learning rate from its first step to its last.

    What it measures
        The rates of all groups over the watched steps, the schedulers, whether any line writes a rate, and the length
        of the run from the loops of the script.

    Why it matters
        At a constant rate the loss settles at a level that the noise of the batches sets; a falling rate goes below it.

    How to fix it
        Let the rate fall over the run, along a cosine or by halves.

    When to ignore it
        The run is long enough only by the way, or the optimizer needs no schedule.

    References
        Loshchilov and Hutter 2017, SGDR, section 4. Bottou, Curtis and Nocedal 2018, section 4.2: a constant rate
        reaches a neighbourhood of the optimum whose size is in proportion to it.
        most_epochs: 20, the rule catalogue of this project: shorter runs are tests.
        most_steps: 50000, the rule catalogue of this project.
    """
    main = optimizers.main
    if any(word in main.name.lower() for word in NEEDS_NONE):
        raise NotApplicable(f"{main.name} needs no schedule")
    if plan.epochs is None and plan.steps is None:
        raise NotExamined("how long the run is meant to be could not be read from the source")
    long = (plan.epochs or 0) > most_epochs or (plan.steps or 0) > most_steps
    written = habits is None or habits.writes_rate is not None
    meant = habits is not None and (habits.idle_rates or habits.rate_attributes or habits.wrong_keys)
    if not long or schedules.all or written or meant or not all(each.constant for each in groups.optimizers):
        return
    length = f"{plan.epochs} epochs" if (plan.epochs or 0) > most_epochs else f"{plan.steps} steps"
    calls = plan.epochs or plan.steps or 0
    yield Finding(
        f"the rate stays {main.peak_rate:.3g} for {length}",
        location=main.rate_location or main.location,
        subject=main.name,
        evidence=(Evidence("planned epochs", plan.epochs or 0), Evidence("planned steps", plan.steps or 0)),
        fix=Fix(
            "let the rate fall",
            "The loss goes below the level that the noise of the batches keeps it at.",
            f"scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max={calls})",
        ),
    )
