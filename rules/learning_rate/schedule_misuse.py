from collections.abc import Iterator

from dnndoctor.changes import Change, FirstOf, InsertAfter, Loop, MoveStatement, RemoveArgument, SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotExamined, Severity
from dnndoctor.measurements import Clearings, Groups, Plan, Schedule, Schedules
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.schedule_reading import alive_until, called, each_schedule, moved


@rule("LRN105", Severity.WARNING, practice="learning-rate")
def schedule_misuse(
    schedules: Schedules,
    plan: Plan | None,
    clearings: Clearings | None,
    groups: Groups | None,
    *,
    dead: float = 0.25,
    sound: float = 0.5,
    still: float = 0.1,
    beyond: float = 1.2,
    cycles: float = 4.0,
) -> Iterator[Finding]:
    """The scheduler is called at another pace than it is built for, in the wrong order, or never.

    What it measures
        Where ``scheduler.step()`` stands among the loops of the script, whether it came before the first
        ``optimizer.step()``, and the curve of the rate at this pace and at the other one, over the planned run.

    Why it matters
        A schedule counted in epochs but called per batch is over in the first epochs; one counted in steps but called
        per epoch never leaves its start.

    How to fix it
        Call it after ``optimizer.step()``: once per epoch if it is counted in epochs, once per step if in steps.

    When to ignore it
        Several cycles of a cosine are meant: CosineAnnealingWarmRestarts says so.

    References
        PyTorch documentation, torch.optim, "How to adjust learning rate": the order of the calls, since 1.1.0.
        dead: 0.25, this project's choice: at this pace the rate is below 1 % of its peak before so much of the run.
        sound: 0.5, this project's choice: and at the other pace not before this.
        still: 0.1, this project's choice: a schedule that moves the rate by less does nothing at this pace. It counts
        where at the other pace it would come down just as the run ends.
        beyond: 1.2, this project's choice: calls over T_max from which on a cosine's rise is no rounding.
        cycles: 4.0, this project's choice: so many half-waves are meant.
    """
    examined = False
    for each in each_schedule(schedules):
        if each.others or each.replaced:  # it belongs to an optimizer that does not step, which is another fault
            continue
        examined = examined or each.per is not None or each.calls > 0 or each.never_called
        found = (
            _never(each, plan, clearings)
            or _order(each, plan, clearings)
            or _overrun(each, plan)
            or _pace(each, plan, clearings, dead, sound, still)
            or _plateau(each, plan, groups)
            or _half_waves(each, plan, beyond, cycles)
        )
        if found is not None:
            yield found
    if not examined:
        raise NotExamined("no call of the scheduler was seen, and none was found in the loops of the script")


def _told(each: Schedule, message: str, fix: Fix, *figures: Evidence, at_build: bool = False) -> Finding:
    place = each.location if at_build else each.call_location or each.location
    return Finding(message, place, each.name, figures, fix)


def _step_of(each: Schedule, clearings: Clearings | None) -> Location | None:
    """Where its optimizer steps."""
    known = clearings is not None and each.optimizer is not None and each.optimizer < len(clearings.optimizers)
    return clearings.optimizers[each.optimizer or 0].step_location if known and clearings is not None else None


def _never(each: Schedule, plan: Plan | None, clearings: Clearings | None) -> Finding | None:
    if not each.never_called:
        return None
    name = called(each)
    at = _step_of(each, clearings)
    counted = each.name in ("OneCycleLR", "CyclicLR")  # in steps
    batches = None if counted or plan is None or (plan.steps_per_epoch or 1) < 2 else Loop()
    fix = Fix(
        "call it",
        "The rate then follows the schedule.",
        f"{name}.step()  # once per epoch, after the steps",
        # It may have a name that no line uses, or need the validation loss.
        (InsertAfter(f"{each.variable}.step()", at=at, loop=batches),)
        if at is not None and each.variable and each.name != "ReduceLROnPlateau"
        else (),
    )
    message = f"{each.name} is built but never called: the rate stays what it was"
    return _told(each, message, fix, Evidence("calls", 0), at_build=True)


def _order(each: Schedule, plan: Plan | None, clearings: Clearings | None) -> Finding | None:
    if not each.before_any_step or each.per is None or each.optimizer is None:
        return None
    at = clearings.optimizers[each.optimizer].step_location if clearings is not None else None
    here = each.call_location
    # A scaler may skip the first step: then the call stands behind it all the same.
    if each.per == "step" and (at is None or here is None or here.file != at.file or here.line >= at.line):
        return None
    name = called(each)
    batches = Loop() if each.per == "epoch" and plan is not None and (plan.steps_per_epoch or 1) > 1 else None
    fix = Fix(
        "step the scheduler after the optimizer",
        "The first value of the schedule is used, and each later one when it is due.",
        f"optimizer.step()\n{name}.step()",
        (MoveStatement(at, after=True, loop=batches, at=here),) if at is not None and here is not None else (),
    )
    message = f"{each.name}.step() is called before the optimizer's first step, so the schedule's first rate is skipped"
    return _told(each, message, fix, Evidence("calls before the first step", each.before_any_step, 0))


def _overrun(each: Schedule, plan: Plan | None) -> Finding | None:
    if each.fails_after is None or each.planned is None or (plan is not None and plan.ends_early):
        return None
    changes = _as_long_as(each.planned, each.name, each.location)
    fix = Fix("give it the number of calls", "The run gets to its end.", f"total_steps={each.planned}", changes)
    message = f"{each.name} raises at call {each.fails_after + 1} of {each.planned} that the run makes"
    return _told(each, message, fix, Evidence("calls that it bears", each.fails_after, each.planned), at_build=True)


def _pace(
    each: Schedule, plan: Plan | None, clearings: Clearings | None, dead: float, sound: float, still: float
) -> Finding | None:
    if plan is None or not plan.epochs or not plan.steps or len(each.rates) < 2:
        return None
    name = called(each)
    if each.per == "step" and len(each.rates_per_epoch) > 1:
        waves = each.name == "CosineAnnealingLR" and each.settings.get("T_max") == plan.epochs
        over = alive_until(each.rates, 0.01) < dead and alive_until(each.rates_per_epoch, 0.01) >= sound
        if plan.steps < 2 * plan.epochs or not (over or waves):
            return None
        does = "swings up and down" if waves else "is at nearly nothing early"
        here = each.call_location
        fix = Fix(
            "call it once per epoch",
            "The rate then falls over the whole run.",
            f"{name}.step()  # per epoch",
            (MoveStatement(here, after=True, loop=Loop(), at=here),) if here is not None else (),
        )
        message = f"{each.name}, counted in epochs, is called per batch, {each.planned} times: the rate {does}"
        return _told(each, message, fix, Evidence("planned calls", each.planned or 0, plan.epochs))
    if each.per == "epoch" and len(each.rates_per_step) > 1 and plan.steps >= 2 * plan.epochs:
        if not (_never_rises(each, sound) or (moved(each.rates) < still and _ends_with_the_steps(each))):
            return None
        at = _step_of(each, clearings)
        fix = Fix(
            "call it once per step",
            "The rate then goes through its whole schedule.",
            f"{name}.step()  # per batch",
            _per_step(each, at),
        )
        message = (
            f"{each.name}, counted in steps, is called per epoch, {each.planned} times: the rate goes from "
            f"{each.rates[0]:.3g} to {each.rates[-1]:.3g} in the whole run"
        )
        return _told(each, message, fix, Evidence("planned calls", each.planned or 0, plan.steps))
    return None


def _never_rises(each: Schedule, sound: float) -> bool:
    """Whether the run stays in the warm-up of a schedule that would have its peak at the other pace."""
    low = each.rates.max() < 0.5 * each.rates_per_step.max()
    return bool(low) and moved(each.rates_per_step) >= sound and alive_until(each.rates_per_step, 0.01) >= sound


def _ends_with_the_steps(each: Schedule) -> bool:
    """Whether the rate at the other pace comes down just as the run ends: no step of 30 epochs in a short run."""
    over = each.rates_per_step[-1] <= 0.05 * each.rates_per_step.max()
    return bool(over) and alive_until(each.rates_per_step, 0.05) >= 0.8


def _plateau(each: Schedule, plan: Plan | None, groups: Groups | None) -> Finding | None:
    if each.name != "ReduceLROnPlateau" or each.per != "step" or each.optimizer is None or groups is None:
        return None
    if plan is None or (plan.steps_per_epoch or 0) < 2 or each.optimizer >= len(groups.optimizers):
        return None
    rates = groups.optimizers[each.optimizer].rates
    if not len(rates) or rates[-1].max() > 0.5 * rates[0].max():
        return None
    fix = Fix("call it once per epoch", "The noise of single batches is no plateau.", f"{called(each)}.step(val_loss)")
    message = (
        f"{each.name} is given the loss of single batches: within {len(rates)} steps it took the rate from "
        f"{rates[0].max():.3g} to {rates[-1].max():.3g}"
    )
    return _told(each, message, fix, Evidence("rate", float(rates[-1].max()), float(rates[0].max())))


def _half_waves(each: Schedule, plan: Plan | None, beyond: float, cycles: float) -> Finding | None:
    span = each.settings.get("T_max", 0)
    if each.name != "CosineAnnealingLR" or not span or not each.planned or (plan is not None and plan.ends_early):
        return None
    ratio = each.planned / span
    if not (beyond < ratio < cycles) or len(each.rates) < 3 or each.rates[-1] < 0.3 * each.rates.max():
        return None
    fix = Fix(
        "set T_max to the number of calls",
        "The run then ends at the lowest rate and not at a high one.",
        f"torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max={each.planned})",
        (SetArgument("T_max", str(each.planned), position=1, of=(each.name,)),),
    )
    message = (
        f"T_max is {span:g}, but the run makes {each.planned} calls: the rate is up again at {each.rates[-1]:.3g} "
        "as it ends"
    )
    return _told(each, message, fix, Evidence("T_max", span, each.planned), at_build=True)


def _per_step(each: Schedule, at: Location | None) -> tuple[Change, ...]:
    """The call goes behind the step; where another function steps, the schedule is made as long as it is called."""
    here = each.call_location
    moved = (MoveStatement(at, after=True, at=here),) if at is not None and here is not None else ()
    shorter = _as_long_as(each.planned, each.name, each.location) if each.name == "OneCycleLR" and each.planned else ()
    options = tuple(option for option in (moved, shorter) if option)
    return (FirstOf(options, at=here or each.location),) if options else ()


def _as_long_as(calls: int, name: str, at: Location | None) -> tuple[Change, ...]:
    of = (name,)
    return (
        SetArgument("total_steps", str(calls), position=2, at=at, of=of),
        RemoveArgument("epochs", position=3, at=at, of=of),
        RemoveArgument("steps_per_epoch", position=4, at=at, of=of),
    )
