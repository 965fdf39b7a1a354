from collections.abc import Iterator

from dnndoctor.changes import Change, FirstOf, MoveBehind, SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Clearings, Groups, Habits, Optimizers, Schedule, Schedules
from dnndoctor.rule import rule

WRITE = "for group in optimizer.param_groups:\n    group['lr'] = lr"


@rule("OPT110", Severity.WARNING, practice="learning-method")
def rate_not_applied(
    optimizers: Optimizers,
    groups: Groups,
    schedules: Schedules,
    habits: Habits | None,
    clearings: Clearings | None = None,
    *,
    fewest_calls: int = 1,
) -> Iterator[Finding]:
    """The script changes a learning rate that no optimizer reads.

    What it measures
        Schedulers whose optimizer does not step while another one steps on the same parameters; rates written to an
        attribute of an optimizer that has none, or to a key of its groups that no step reads; and variables that are
        changed like a rate in the training loop and never read, while the groups keep theirs.

    Why it matters
        Training goes on at the first rate. The log shows the one that was meant.

    How to fix it
        Write the rate into ``optimizer.param_groups``, or use a scheduler of the optimizer that steps.

    When to ignore it
        The value is for something else than this optimizer.

    References
        PyTorch documentation, torch.optim: the rate of a step is that of its parameter group.
        fewest_calls: 1, PyTorch documentation, torch.optim: a scheduler changes the groups of its own optimizer only.
    """
    if not schedules.all and habits is None:
        raise NotExamined("no scheduler was built, and no source file of the user's could be read")
    found = [*_schedules(schedules, optimizers, clearings, fewest_calls)]
    if habits is not None:
        found += _attributes(habits, groups, optimizers)
        constant = all(each.constant for each in groups.optimizers)
        if not found and constant and not schedules.all and habits.writes_rate is None:
            found += [_idle(*each, optimizers) for each in habits.idle_rates[:1]]
    if not found and not schedules.all and (habits is None or habits.writes_rate is None):
        raise NotApplicable("the rate is meant to stay as it is")
    yield from found


def _schedules(
    schedules: Schedules, optimizers: Optimizers, clearings: Clearings | None, fewest: int
) -> Iterator[Finding]:
    for each in schedules.all:
        if each.others >= fewest or each.replaced:
            main = optimizers.main
            yield Finding(
                f"{each.name} changes the rate of an optimizer that does not step: {main.name} does, at its own rate",
                location=each.location,
                subject=each.name,
                evidence=(Evidence("calls without a step of its optimizer", each.others, 0),),
                fix=Fix(
                    "build the scheduler on the optimizer that steps",
                    "The rate then follows the schedule.",
                    f"scheduler = {each.name}(optimizer, ...)  # after the last optimizer = ...",
                    _built_on(each, optimizers, clearings),
                ),
            )


def _attributes(habits: Habits, groups: Groups, optimizers: Optimizers) -> Iterator[Finding]:
    seen = any(each.odd_attributes or each.odd_keys for each in groups.optimizers)
    for name, place in (*habits.rate_attributes, *habits.wrong_keys):
        yield _written(name, place, optimizers)
    if seen and not habits.rate_attributes and not habits.wrong_keys:
        names = [key for each in groups.optimizers for key in (*each.odd_attributes, *each.odd_keys)]
        yield _written(names[0], optimizers.main.location, optimizers)


def _written(name: str, place: Location | None, optimizers: Optimizers) -> Finding:
    main = optimizers.main
    return Finding(
        f"{name} is written, but no step reads it: the rate of {main.name} stays {main.peak_rate:.3g}",
        location=place,
        subject=main.name,
        evidence=(Evidence("rate that is used", main.peak_rate),),
        fix=Fix("write it into the groups", "The next step then uses it.", WRITE),
    )


def _idle(name: str, place: Location, optimizers: Optimizers) -> Finding:
    main = optimizers.main
    return Finding(
        f"{name} is changed in the training loop, but nothing reads it: the rate of {main.name} stays "
        f"{main.peak_rate:.3g}",
        location=place,
        subject=main.name,
        evidence=(Evidence("rate that is used", main.peak_rate),),
        fix=Fix("write it into the groups", "The next step then uses it.", WRITE.replace("= lr", f"= {name}")),
    )


def _built_on(each: Schedule, optimizers: Optimizers, clearings: Clearings | None) -> tuple[Change, ...]:
    """On the optimizer that steps, or behind where its name is bound for the last time."""
    index = optimizers.all.index(optimizers.main)
    known = clearings is not None and index < len(clearings.optimizers)
    name = clearings.optimizers[index].variable if known and clearings is not None else ""
    if not name.isidentifier() or each.location is None:
        return ()
    given = SetArgument("optimizer", name, position=0, at=each.location, of=(each.name,))
    later = MoveBehind(name, at=each.location)
    return (FirstOf(((given,), (given, later), (later,)), at=each.location),)
