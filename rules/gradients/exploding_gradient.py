from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from dnndoctor.changes import Change, InsertAfter
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Finiteness, Gradients, Layer, Layers, Run, Steps
from dnndoctor.rule import rule

RESTLESS = ("gan", "reinforcement")


@rule("GRD102", Severity.WARNING, practice="gradients")
def exploding_gradient(
    gradients: Gradients,
    layers: Layers | None,
    finiteness: Finiteness | None,
    run: Run | None,
    steps: Steps | None = None,
    *,
    spike: float = 100.0,
    window: int = 10,
    layer_growth: float = 10.0,
    layers_in_row: int = 3,
) -> Iterator[Finding]:
    """The gradient blows up: from one step to the next, or from layer to layer towards the input.

    What it measures
        The global gradient norm against the median of the steps just before, and never against less than the first
        steps' (late norms are tiny where the loss is near zero); and at the first step how the gradient at the layers'
        outputs grows from layer to layer towards the input. It is an error where non-finite values followed. Spikes
        are not judged where gradients are clipped or scaled (mixed precision), nor in GAN and reinforcement training.

    Why it matters
        One such step throws the weights far away from what was learnt, or ends in NaN.

    How to fix it
        Clip the norm at the size that most steps have. If it grows by layer, initialise to the fan-in.

    When to ignore it
        Single spikes that the loss does not show.

    References
        Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks, sections 2.1 and 3.2.
        spike: 100.0, this project's choice: norms of 10 to 100 are normal at the start of sound runs.
        window: 10, this project's choice: steps of the running median.
        layer_growth: 10.0, this project's choice: He and Glorot initialisation aim at 1 per layer.
        layers_in_row: 3, this project's choice: one or two steep layers are common (a small head, pooling).
    """
    steep = _growth(layers, layer_growth, layers_in_row)
    backward = steps.location if steps is not None else None
    norm = gradients.norm[~np.isnan(gradients.norm)]
    quiet = gradients.scaled or gradients.clipped or (run is not None and run.family in RESTLESS)
    jump = None if quiet else _jump(norm, window)
    if steep is not None:
        layer, times = steep
        message = f"the gradient grows {times:.2g} times per layer on its way to {layer.name}"
        figure = Evidence("growth per layer", times, layer_growth)
        clipped = gradients.scaled or gradients.clipped
        yield _finding(
            message, layer.location, layer.name, figure, norm, finiteness, None if clipped else backward, window
        )
    elif jump is not None and jump[1] > spike:
        message = f"the gradient norm jumps to {jump[1]:.3g} times its running median at watched step {jump[0]}"
        figure = Evidence("norm relative to its median", jump[1], spike)
        yield _finding(message, backward, None, figure, norm, finiteness, backward, window)
    elif jump is None and sum(bool(each.grad_std) for each in (layers.affine if layers else ())) <= layers_in_row:
        if quiet:
            raise NotApplicable("too few layers for a trend, and spikes were not judged here")
        raise NotExamined(f"too few layers for a trend, and too few steps to see a spike: {norm.size}")


def _growth(layers: Layers | None, least: float, in_row: int) -> tuple[Layer, float] | None:
    """The first layer of the longest steep run, with the median growth in it."""
    found = (_steep_run(chain, least, in_row) for chain in (layers.chains() if layers else ()))
    return next((each for each in found if each is not None), None)


def _steep_run(layers: Layers, least: float, in_row: int) -> tuple[Layer, float] | None:
    chain = [each for each in layers.affine if each.grad_std and not (each.normalized or each.gate)]
    run: list[float] = []
    for nearer, further in reversed(list(pairwise(chain))):
        growth = (nearer.grad_std or 0.0) / (further.grad_std or 1.0)
        run = [*run, growth] if growth > least else []
        if len(run) >= in_row:
            return nearer, float(np.median(run))
    return None


def _jump(norm: np.ndarray, window: int) -> tuple[int, float] | None:
    if norm.size <= window:
        return None
    floor = np.median(norm[:window])
    level = np.median(np.lib.stride_tricks.sliding_window_view(norm, window)[:-1], axis=1)
    times = norm[window:] / np.maximum(np.maximum(level, floor), np.finfo(float).tiny)
    worst = int(np.argmax(times))
    return worst + window, float(times[worst])


def _finding(
    message: str,
    location: Location | None,
    subject: str | None,
    figure: Evidence,
    norm: np.ndarray,
    finiteness: Finiteness | None,
    backward: Location | None,
    window: int,
) -> Finding:
    broken = finiteness is not None and finiteness.first is not None and not finiteness.first.scaler_skipped
    finite = norm[np.isfinite(norm)]
    # Where the norm only ever grows, most steps are part of the fault: ten times the first ones' is no ordinary size.
    usual = float(min(np.percentile(finite, 90), 10 * np.median(finite[:window]))) if finite.size else 1.0
    code = f"torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm={usual:.2g})"
    changes: tuple[Change, ...] = (InsertAfter(code, at=backward),) if backward is not None else ()
    return Finding(
        message,
        location=location,
        subject=subject,
        evidence=(figure, Evidence("90th percentile of the norm", usual)),
        fix=Fix(
            "Clip the gradient norm at the size that most steps have",
            "Ordinary steps stay as they are, and a bad one no longer throws the weights away.",
            f"{code}  # before optimizer.step()",
            changes,
        ),
        severity=Severity.ERROR if broken else None,
    )
