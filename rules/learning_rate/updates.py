"""Update-to-weight ratios of the layers for which they mean something."""

import numpy as np

from dnndoctor.measurements import Gradients, Parameter, Weights

SMALL_START = 1e-3  # std; below, any step is large against the weight
ADAM_SETTLES = 10  # steps: in the first ones Adam moves every entry by the rate whatever the gradient
FEWEST_SAMPLES = 5


def layer_ratios(gradients: Gradients, weights: Weights, optimizer: int) -> dict[str, float]:
    """The median ratio of each weight of two dimensions and more that the optimizer trains, once it has settled.

    Left out are embeddings and weights that were drawn small or as zeros: their ratio says how small they are.
    """
    found = {}
    for each in weights.parameters:
        own = gradients.of(each.name)
        if own is None or not _counts(each, optimizer):
            continue
        ratio = own.ratio[(own.steps >= ADAM_SETTLES) & np.isfinite(own.ratio)]
        if len(ratio) >= FEWEST_SAMPLES:
            found[each.name] = float(np.median(ratio))
    return found


def _counts(each: Parameter, optimizer: int) -> bool:
    wide = each.kind in ("weight", "recurrent") and len(each.shape) > 1 and each.size > 1
    started = not each.drawn or each.std >= SMALL_START
    return wide and started and each.trainable and each.optimizer == optimizer and not each.sparse
