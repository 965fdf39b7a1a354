from collections.abc import Iterator

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Dependence, FutureLeak, Passage
from dnndoctor.rule import rule


@rule("LOP106", Severity.ERROR, practice="training-loop")
def future_leak(dependence: Dependence, *, smallest: float = 1e-3, equal: float = 0.99) -> Iterator[Finding]:
    """The model is trained on the next step of a sequence, and sees it.

    What it measures
        Whether the targets of the loss are the model's own inputs one step later, and whether the output at earlier
        steps changes when the last step of the input is another one, in evaluation mode.

    Why it matters
        The answer stands in the input. The loss falls far below what the data allows, the model has learned to copy,
        and produces nothing of use once the next step is not there yet.

    How to fix it
        Mask attention with a causal mask, make recurrent layers go one way, pad convolutions on the left alone.

    When to ignore it
        Never known to be meant where the target is the next input. Models that look both ways for other targets, as in
        tagging or filling gaps, are left out already.

    References
        Vaswani et al. 2017, Attention Is All You Need, section 3.2.3: masking out what would be in the future.
        Karpathy 2019, A Recipe for Training Neural Networks: use backprop to chart dependencies.
        smallest: 0.001, this project's choice: change before the last step over the largest; rounding gives 0.
        equal: 0.99, this project's choice: share of targets that are the next input; special tokens may be put in.
    """
    next_step = [each for each in dependence.leaks if each.equal >= equal]
    if not next_step:
        raise NotApplicable("the targets are not the next step of the inputs")
    for each in next_step:
        if each.effect >= smallest:
            yield _finding(each, each.passage or Passage("unknown"))


def _finding(leak: FutureLeak, passage: Passage) -> Finding:
    through = passage.layer or passage.operation
    two_ways = passage.kind == "recurrent"
    code = {
        "recurrent": f"nn.{passage.layer_class or 'LSTM'}(..., bidirectional=False)",
        "layer": "x = F.pad(x, (kernel_size - 1, 0))  # on the left alone; padding=0 in the convolution",
    }.get(passage.kind, "mask = nn.Transformer.generate_square_subsequent_mask(x.size(1))\nh = attention(h, mask=mask)")
    return Finding(
        f"the output at a step depends on later inputs ({leak.effect:.2g} of the largest effect"
        + (f", through {through}" if through else "")
        + f"), and {leak.equal:.0%} of the targets are the next input: the model can copy the answer",
        location=(passage.layer_location if two_ways else None) or passage.location,
        subject=through or leak.model,
        evidence=(Evidence("effect on earlier steps", leak.effect, 0), Evidence("steps", leak.steps)),
        fix=Fix(
            "keep the recurrence to one way" if two_ways else "hide later steps from earlier ones",
            f"None of the {leak.steps} steps then sees its own target.",
            code,
            # The mask of a call that has one is for a person to change.
            (SetArgument("is_causal", "True", position=5, unless=("attn_mask",), of=(passage.operation,)),)
            if passage.operation == "scaled_dot_product_attention" and not passage.layer
            else (),
        ),
    )
