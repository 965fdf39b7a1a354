from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Snapshots
from dnndoctor.rule import rule


@rule("INI109", Severity.INFO, practice="weight-initialization")
def weights_off_scale(
    snapshots: Snapshots, *, large: float = 10.0, small: float = 0.01, fewest: int = 2
) -> Iterator[Finding]:
    """The weights of the first checkpoint are far too large or too small for their number of inputs.

    What it measures
        Root mean square times the square root of the inputs, which is what a layer makes of a signal: the median over
        all matrices of weights in the first checkpoint. Not judged where there are normalisation layers, which take
        scale out again. How the signal fares inside takes data: `dnndoctor check` looks at that.

    Why it matters
        Each layer multiplies the signal and the gradient by about that. Weights of N(0, 1) drown what steps of the
        usual size add to them.

    How to fix it
        Draw the weights with the initialisation that fits the activation: He for ReLU, Glorot for tanh and sigmoid.

    When to ignore it
        The layers scale their weights themselves when they are called (equalised rates, muP).

    References
        Glorot & Bengio 2010, section 4.2; Karras et al. 2018, Progressive Growing of GANs, section 4.1.
        large: 10.0, measured: 22 small trainings end at 0.2 to 4.7, two released speech models have 3.75 and 4.2;
        N(0, 1) weights of 256 inputs have 16, and did not move in 1200 steps.
        small: 0.01, this project's choice: a tenth of the smallest initialisation in use, 0.02 at 64 inputs.
        fewest: 2, this project's choice: one matrix alone may well be odd.
    """
    first = snapshots.all[0]
    matrices = [each for each in first.weights if each.norm > 0]
    if first.normalized:
        raise NotApplicable("there are normalisation layers, behind which the scale of weights does not count")
    scale = first.scale
    if scale is None or len(matrices) < fewest:
        raise NotApplicable(f"fewer than {fewest} matrices of weights were read")
    if small <= scale <= large:
        return
    side, times = ("large", scale) if scale > large else ("small", 1 / max(scale, 1e-12))
    worst = (max if scale > large else min)(matrices, key=lambda each: each.rms * each.fan_in**0.5)
    yield Finding(
        f"the weights in {snapshots.at(first)} are about {times:.3g} times too {side}: {worst.name} has a root mean "
        f"square of {worst.rms:.2g} for {worst.fan_in} inputs",
        subject=worst.name,
        evidence=(
            Evidence("median of rms * sqrt(inputs)", scale, large if scale > large else small),
            Evidence("rms", worst.rms, worst.fan_in**-0.5),
        ),
        fix=Fix(
            "initialise to the fan-in",
            "The signal and the gradient then keep their size from layer to layer.",
            "nn.init.kaiming_normal_(layer.weight)",
        ),
    )
