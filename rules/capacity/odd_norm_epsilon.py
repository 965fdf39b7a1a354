from collections.abc import Iterator

from dnndoctor.changes import Change, FirstOf, Rewrite, SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import LayerSettings, NormSetting
from dnndoctor.rule import rule


@rule("CAP107", Severity.WARNING, practice="capacity")
def odd_norm_epsilon(settings: LayerSettings, *, epsilon: float = 1e-2, scale: float = 0.7) -> Iterator[Finding]:
    """A normalization layer has an epsilon so large that it does not normalise.

    What it measures
        The epsilon of each norm layer, and the standard deviation of what it puts out in the first step, relative to
        its weights. Both have to be off.

    Why it matters
        A norm divides by sqrt(variance + epsilon). An epsilon as large as the variance leaves the signal smaller than
        1, and by another factor in each layer. It is mostly a number that was meant for something else: the second
        argument of ``nn.BatchNorm2d`` is epsilon and not momentum.

    How to fix it
        Name the argument. A momentum of 0.8 in other libraries is ``momentum=0.2`` here.

    When to ignore it
        The damping is meant.

    References
        PyTorch documentation, torch.nn.BatchNorm2d: eps is 1e-5 unless given, and comes before momentum.
        epsilon: 0.01, this project's choice: libraries' defaults lie between 1e-12 and 1e-3.
        scale: 0.7, arithmetic: sqrt(1 / 2), from where on the epsilon is as large as the variance itself.
    """
    if not settings.norms:
        raise NotApplicable("the model has no norm layer")
    odd = [each for each in settings.norms if each.epsilon > epsilon]
    if odd and all(each.output_std is None for each in odd):
        raise NotExamined("what the norm layers put out was not seen")
    lines: dict[Location | None, list[NormSetting]] = {}
    for each in odd:
        if each.output_std is not None and each.output_std < scale:
            lines.setdefault(each.location, []).append(each)
    for group in lines.values():
        yield _finding(min(group, key=lambda each: each.output_std or 0.0), len(group))


def _finding(worst: NormSetting, count: int) -> Finding:
    many = f" (the worst of {count} on this line)" if count > 1 else ""
    size = worst.output_std or 0.0
    return Finding(
        f"{worst.name}{many} has an epsilon of {worst.epsilon:g}, so that its outputs have a standard deviation of "
        f"{size:.2g} instead of 1",
        location=worst.location,
        subject=worst.name,
        evidence=(Evidence("epsilon", worst.epsilon, 1e-5), Evidence("std of the outputs", size, 1.0)),
        fix=Fix(
            "name the argument that was meant",
            f"With its usual epsilon the layer hands on {1 / max(size, 1e-9):.1f} times the signal.",
            f"nn.{worst.kind}(..., momentum={max(1 - worst.epsilon, 0.01):.2g})  # eps stays at 1e-5"
            if worst.epsilon < 1
            else f"nn.{worst.kind}(..., eps=1e-5)",
            _named(worst),
        ),
    )


def _named(worst: NormSetting) -> tuple[Change, ...]:
    """An epsilon that was given by its place was meant for what other libraries have there; one by name was not."""
    place = 2 if worst.kind == "GroupNorm" else 1
    given = "{0}, {1}" if place == 2 else "{0}"
    momentum = worst.kind.startswith(("BatchNorm", "InstanceNorm")) and worst.epsilon < 1
    last = f", momentum={max(1 - worst.epsilon, 0.01):.2g}" if momentum else ""
    meant = Rewrite(f"{{callee}}({given}{last})", of=(worst.kind,), dropping=(str(place),))
    return (FirstOf(((meant,), (SetArgument("eps", "1e-5", position=place, of=(worst.kind,)),))),)
