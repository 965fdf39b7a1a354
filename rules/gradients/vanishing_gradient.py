from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Gradients, Layer, Layers, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.chains import each_chain
from dnndoctor.rules.naming import attribute


@rule(
    "GRD101",
    Severity.WARNING,
    practice="gradients",
    not_for={"reinforcement": "in reinforcement learning batches without reward have no gradient"},
)
def vanishing_gradient(
    gradients: Gradients,
    layers: Layers,
    weights: Weights,
    *,
    share: float = 1e-3,
    early: int = 5,
    fewest_layers: int = 3,
    fewest_steps: int = 3,
) -> Iterator[Finding]:
    """Next to nothing of the gradient reaches the first layer.

    What it measures
        Root mean square of the gradient of the first hidden layer's weights against the median layer's, median over
        the first watched steps: relative, as the absolute size depends on the loss, its scale and how far training is.
        It is an error if the first layer's gradient is exactly zero in all of them. Frozen and row-sparse weights and
        zero-initialised residual branches are left out.

    Why it matters
        The layers next to the input, which should learn the features, stay as they were drawn.

    How to fix it
        Look at the cause first: saturated or sigmoid units, weights that are too small, dead units. Then He or Glorot
        initialisation, ReLU-like activations, normalisation layers, skip paths.

    When to ignore it
        The first layers are not meant to learn, or batches without reward give no gradient.

    References
        Hochreiter 1991; Glorot & Bengio 2010, section 4.2.2: compare layers, not absolute sizes.
        share: 1e-3, this project's choice: absolute thresholds from 1e-7 to 1e-2 fired on 2 to 13 of 30 sound runs.
        early: 5, this project's choice: the median over this many steps is robust against one odd batch.
        fewest_layers: 3, arithmetic: with two layers the median is one of them.
        fewest_steps: 3, arithmetic: the least that a median can stand on.
    """
    yield from each_chain(
        layers, lambda chain: _judged(chain, gradients, weights, share, early, fewest_layers, fewest_steps)
    )


def _judged(
    layers: Layers,
    gradients: Gradients,
    weights: Weights,
    share: float,
    early: int,
    fewest_layers: int,
    fewest_steps: int,
) -> Iterator[Finding]:
    """The layers of one chain."""
    if any(each.residual and _zero(each, weights) for each in layers.hidden):
        raise NotApplicable("residual branches start at zero and hold their gradient back at first")
    rows = [(layer, rms) for layer in layers.affine if (rms := _rms(layer, gradients, weights)) is not None]
    if len(rows) < fewest_layers:
        raise NotApplicable(f"fewer than {fewest_layers} trained layers get a gradient")
    count = min(early, *(rms.size for _, rms in rows))
    table = np.array([rms[:count] for _, rms in rows])
    middle = np.median(table, axis=0)
    seen = np.isfinite(table).all(axis=0) & (middle > 0)
    if seen.sum() < fewest_steps:
        raise NotExamined(f"only {seen.sum()} early steps had a gradient in all layers")
    first = rows[0][0]
    ratio = float(np.median(table[0, seen] / middle[seen]))
    if ratio >= share:
        return
    nothing = not table[0, seen].any()
    figure = "no gradient" if nothing else f"{ratio:.2g} times the median layer's gradient"
    yield Finding(
        f"{figure} reaches {first.name}, the first of {len(rows)} layers",
        location=first.location,
        subject=first.weight,
        evidence=(
            Evidence("gradient relative to the median layer's", ratio, share),
            Evidence("gradient rms", float(np.median(table[0, seen])), float(np.median(middle[seen]))),
        ),
        fix=Fix(
            "Keep the gradient's size through the layers",
            "Weights scaled to their fan-in and an activation with slope 1 pass it on undiminished.",
            f"nn.init.kaiming_normal_({attribute(first.name)}.weight)  # in all layers, with ReLU between them",
        ),
        severity=Severity.ERROR if nothing else None,
    )


def _zero(layer: Layer, weights: Weights) -> bool:
    weight = weights.named(layer.weight)
    return weight is not None and weight.max_abs == 0


def _rms(layer: Layer, gradients: Gradients, weights: Weights) -> NDArray[np.float64] | None:
    weight, gradient = weights.named(layer.weight), gradients.of(layer.weight)
    if layer.gate or weight is None or not weight.trainable or weight.sparse:
        return None
    return gradient.rms if gradient is not None and np.isfinite(gradient.rms).any() else None
