from collections.abc import Iterator

from dnndoctor.changes import Change, Rewrite
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import LayerSettings, RecurrentSetting
from dnndoctor.rule import rule


@rule("CAP108", Severity.WARNING, practice="capacity")
def last_step_of_bidirectional(settings: LayerSettings, *, fewest_steps: int = 3) -> Iterator[Finding]:
    """Of one direction of a bidirectional recurrent layer only the very first step is used.

    What it measures
        Recurrent weights of the last stacked layer that got exactly no gradient in any watched step, while those of
        the other direction, and this direction's own input weights, did.

    Why it matters
        At the last position the reverse direction has read one element. ``out[:, -1]`` so takes the whole sequence from
        the forward direction and a single element from the other: half of the layer does nothing.

    How to fix it
        Take the final state of both directions, or a mean or maximum over all positions.

    When to ignore it
        Never seen to be meant.

    References
        PyTorch documentation, torch.nn.LSTM, Outputs: h_n has the final forward and reverse states; the last element
        of output does not.
        fewest_steps: 3, this project's choice: behind a zero-initialised layer the first step has no gradient.
    """
    two_way = [each for each in settings.recurrent if each.bidirectional]
    if not two_way:
        raise NotApplicable("the model has no bidirectional recurrent layer")
    if all(each.steps < fewest_steps for each in two_way):
        raise NotExamined(f"fewer than {fewest_steps} steps at a rate above zero were watched")
    for each in two_way:
        if each.still is not None and each.steps >= fewest_steps:
            yield _finding(each)


def _finding(each: RecurrentSetting) -> Finding:
    end = "last" if each.still == "reverse" else "first"
    state = "(h, c)" if each.kind == "LSTM" else "h"
    return Finding(
        f"the {each.still} direction of {each.name} had no recurrent gradient in {each.steps} steps: at the {end} "
        "position, the only one that is used, it has read a single element",
        location=each.read_at or each.location,
        subject=each.name,
        evidence=(Evidence("steps without a recurrent gradient", each.steps, 0),),
        fix=Fix(
            "take the final states of both directions",
            f"The {each.still} direction then reads the whole sequence instead of 1 element.",
            f"out, {state} = {each.kind.lower()}(x)\nlast = torch.cat([h[-2], h[-1]], dim=1)",
            _both_ends(each),
        ),
    )


def _both_ends(each: RecurrentSetting) -> tuple[Change, ...]:
    """Where each direction has read everything: the forward one at the last position, the reverse one at the first."""
    if each.read_at is None or not each.hidden_size:
        return ()
    size, last, first = each.hidden_size, "-1", "0"
    at = [f":, {step}" if each.batch_first else f"{step}, :" for step in (last, first)]
    code = f"torch.cat([{{0}}[{at[0]}, :{size}], {{0}}[{at[1]}, {size}:]], dim=-1)"
    return (Rewrite(code, at=each.read_at, of=("[]",), dropping=("1",)),)
