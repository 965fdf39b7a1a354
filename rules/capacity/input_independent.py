from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import BlankedInputs, TrainingLoop, TrainingNoise
from dnndoctor.rule import rule

UNCONDITIONAL = {
    "gan": "a generator is given noise, and no data",
    "reinforcement": "in reinforcement learning the loss does not tell what an input is worth",
}


@rule("CAP105", Severity.ERROR, practice="capacity", not_for=UNCONDITIONAL)
def input_independent(
    blanked: BlankedInputs,
    noise: TrainingNoise | None,
    loop: TrainingLoop | None,
    *,
    unchanged: float = 3e-4,
    floor: float = 0.05,
    errors: float = 2.0,
    share: float = 0.02,
) -> Iterator[Finding]:
    """The model gives the same output whatever its input is.

    What it measures
        Short trainings at your rate and at the best one. Then the samples of a batch exchange their inputs: reported is
        a model whose outputs stay what they were, and which is trained on inputs of zeros as well as on the data.

    Why it matters
        What such a model learns are the shares of the classes, or the mean of the target. Its loss falls a little, and
        then never again.

    How to fix it
        Follow the input from the data set to the first layer: a variable that is used in its place, samples that are
        all the same, units that all give zero.

    When to ignore it
        The model learns one distribution and is given no input on purpose.

    References
        Karpathy 2019, A Recipe for Training Neural Networks, section 2: input-independent baseline.
        unchanged: 3e-4, measured on a norm over single values, which leaves rounding: 9e-5 of the largest output. Over
        the sound fixtures no model that uses its input is below 0.1.
        floor: 0.05, this project's choice: of the loss at the start; below it there is nothing left to learn.
        errors: 2.0, this project's choice: standard errors that training on zeros may do worse.
        share: 0.02, this project's choice: of the loss at the start that it may do worse anyway.
    """
    if blanked.change is None:
        raise NotExamined("whether outputs change with the input could not be told: batches of one sample")
    if blanked.change > unchanged:
        return
    if blanked.quantized:
        raise NotExamined("the model picks the nearest of some codes: all inputs may share one for a while")
    if not np.isfinite(blanked.real) or not np.isfinite(blanked.blank):
        raise NotExamined("training diverged")
    if abs(blanked.real) <= floor * abs(blanked.start):
        raise NotExamined("the loss is near its floor: nothing is left to learn")
    spread = noise.spread if noise is not None and np.isfinite(noise.spread) else 0.0
    allowed = max(errors * np.nan_to_num(blanked.gap_error), errors * spread, share * abs(blanked.start))
    if blanked.blank > blanked.real + allowed:
        return
    model = loop.models[0] if loop and loop.models else None
    yield Finding(
        f"{model.name if model else 'the model'} gives the same output for every input, and learns as well from zeros: "
        f"loss {blanked.blank:.3g}, {blanked.real:.3g} on the data",
        location=model.location if model else None,
        subject=model.name if model else None,
        evidence=(
            Evidence("change of the output when inputs are exchanged", blanked.change),
            Evidence("loss on zeros", blanked.blank),
            Evidence("loss on the data", blanked.real),
        ),
        fix=Fix(
            "let the output depend on the input",
            f"All that was learned from a loss of {blanked.start:.3g} on does not come from the data.",
            "assert not torch.allclose(model(x), model(x.roll(1, 0)))  # find the layer that loses the input",
        ),
    )
