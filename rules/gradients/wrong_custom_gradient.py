from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import CustomGradient, CustomGradients
from dnndoctor.rule import rule


@rule("GRD103", Severity.ERROR, practice="gradients")
def wrong_custom_gradient(gradients: CustomGradients, *, share: float = 0.2, fewest: int = 4) -> Iterator[Finding]:
    """The backward pass of an autograd function of your own gives another gradient than the function has.

    What it measures
        Each autograd function of yours is applied again, in float64, to a copy of what it was given; single entries are
        moved a little, and the change of the output is compared with the gradient that its backward pass gives.
        Entries where the function is flat are not counted: a gradient there is a straight-through or surrogate one.
        Nor are functions that hand their input on unchanged, as a gradient reversal does.

    Why it matters
        Every step goes in a direction that does not lower the loss as it should, for all layers behind the function.

    How to fix it
        Correct the backward pass; torch.autograd.gradcheck tells when it is right.

    When to ignore it
        The other gradient is meant.

    References
        PyTorch, torch.autograd.gradcheck: gradients via small finite differences against analytical ones, in double
        precision.
        share: 0.2, this project's choice: of the entries with a slope; single ones lie at a kink.
        fewest: 4, this project's choice: entries with a slope.
    """
    if not gradients.functions:
        raise NotApplicable("no autograd function of your own was applied")
    checked = [each for each in gradients.functions if each.missing is None]
    if not checked:
        raise NotExamined(f"{gradients.functions[0].name}: {gradients.functions[0].missing}")
    for each in checked:
        straight_through = each.surrogate > share * each.compared
        if each.identity or straight_through or each.sloped < fewest or each.wrong < share * each.sloped:
            continue
        yield Finding(
            f"the backward pass of {each.name} is wrong for {each.wrong} of {each.sloped} entries: {_how(each)}",
            location=each.defined or each.location,
            subject=each.name,
            evidence=(
                Evidence("entries with another gradient", each.wrong, 0),
                Evidence("gradient over slope", each.ratio if each.ratio is not None else 0.0, 1.0),
            ),
            fix=Fix(
                "Correct the backward pass",
                "gradcheck compares it with finite differences, as was done here.",
                f"torch.autograd.gradcheck({each.name}.apply, inputs)  # inputs in double precision",
            ),
        )


def _how(each: CustomGradient) -> str:
    if each.ratio is None:
        return "it differs from finite differences"
    steady = each.spread is not None and each.spread < 0.01 * abs(each.ratio)
    return f"{'always' if steady else 'about'} {each.ratio:.3g} times the slope that finite differences give"
