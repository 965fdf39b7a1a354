from collections.abc import Iterator

from dnndoctor.changes import Change, SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import Plan, Schedule, Schedules
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.schedule_reading import alive_until, each_schedule


@rule("LRN104", Severity.WARNING, practice="learning-rate")
def schedule_decays_too_soon(
    schedules: Schedules, plan: Plan | None, *, floor: float = 0.01, lost: float = 0.25, early: float = 0.33
) -> Iterator[Finding]:
    """The schedule brings the rate to nearly nothing long before the run is over.

    What it measures
        The scheduler's own rule, run on a stand-in for as many calls as the loops of the script are going to make.
        Reported is a rate that falls below ``floor`` of its peak early and never comes back.

    Why it matters
        From there on the steps are too small to change anything: the rest of the run is paid for and not used.

    How to fix it
        Fit the decay to the length of the run: ``T_max`` is the number of calls, ``gamma`` is taken to the power of it.
        Call a schedule counted in epochs once per epoch.

    When to ignore it
        The loop's length is an upper bound that is never reached, since training stops by itself.

    References
        Loshchilov and Hutter 2017, SGDR, section 3: the rate reaches its minimum at the end of a run.
        floor: 0.01, this project's choice: the rates that step schedules of published runs end with are not below.
        lost: 0.25, this project's choice: three quarters of the run are wasted, an error.
        early: 0.33, this project's choice: the published step schedules keep a hundredth of the rate beyond half.
    """
    judged = [each for each in each_schedule(schedules) if len(each.rates) > 2]
    if not judged:
        raise NotExamined(next(each.missing for each in schedules.all))
    for each in judged:
        share = alive_until(each.rates, floor)
        if share >= early or each.optimizer is None:
            continue
        # Where the loop may be left early, its length says less.
        error = share < lost and not (plan is not None and plan.ends_early)
        yield _finding(each, share, floor, error)


def _finding(each: Schedule, share: float, floor: float, error: bool) -> Finding:
    calls = each.planned or len(each.rates) - 1
    after = max(round(share * calls), 1)
    if "gamma" in each.settings and each.name == "ExponentialLR":
        gamma = 0.01 ** (1 / calls)
        code = f"torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma={gamma:.5f})"
    else:
        code = f"torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max={calls})"
    return Finding(
        f"{each.name} brings the rate below {floor:.0%} of its peak after {after} of {calls} calls that the run makes",
        location=each.location,
        subject=each.name,
        evidence=(
            Evidence("share of the run with a rate above the floor", share, 1.0),
            Evidence("rate at the end", float(each.rates[-1])),
        ),
        fix=Fix(
            "fit the schedule to the length of the run",
            f"The last {1 - share:.0%} of the run train again. If it is meant per epoch, call it once per epoch.",
            code,
            _longer(each, calls),
        ),
        severity=Severity.ERROR if error else Severity.WARNING,
    )


def _longer(each: Schedule, calls: int) -> tuple[Change, ...]:
    """A factor that brings the rate to a hundredth at the end; nothing where the pace of the calls is what is wrong."""
    if each.per == "step" and alive_until(each.rates_per_epoch, 0.01) >= 0.5 and len(each.rates_per_epoch) > 1:
        return ()
    drops = {"ExponentialLR": calls, "StepLR": calls / max(each.settings.get("step_size", 1.0), 1.0)}.get(each.name)
    if drops is None or drops < 1 or each.location is None:
        return ()
    position = 1 if each.name == "ExponentialLR" else 2
    gamma = f"{0.01 ** (1 / drops):.4g}"
    return (SetArgument("gamma", gamma, position=position, at=each.location, of=(each.name,)),)
