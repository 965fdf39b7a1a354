from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import History, Steps
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import NO_FALLING_LOSS

ROWS = 4096


@rule("VIS103", Severity.INFO, practice="visualisation", not_for=NO_FALLING_LOSS)
def loss_spikes(
    history: History,
    steps: Steps | None,
    *,
    window: int = 100,
    sigmas: float = 6.0,
    times: float = 2.0,
    floor: float = 0.05,
) -> Iterator[Finding]:
    """The loss jumps far above its running level, and the gradient with it.

    What it measures
        Every recorded step's loss against the median and the spread of the steps before it, and the gradient norm
        against its own. Counted are jumps of both that lie beyond all three bounds.

    Why it matters
        A spike undoes some of what was learned, and a run that spikes more and more is about to diverge.

    How to fix it
        Look at the batch of that step, clip the gradient norm, or lower the rate.

    When to ignore it
        The data change on purpose, or the rate restarts.

    References
        Chowdhery et al. 2022, PaLM, section 5.1: spikes, and skipping the batches around them.
        window: 100, thirty healthy runs of this project: with shorter ones half of them had a spike.
        sigmas: 6.0, OLMo-core: its bound for the loss gave no false alarm in thirty healthy runs.
        times: 2.0, llm-foundry: twice the running mean.
        floor: 0.05, this project's choice: share of the first steps' loss, near which a ratio says nothing.
    """
    loss, norm = history.loss, history.grad_norm
    if len(loss) <= window:
        raise NotExamined(f"{len(loss)} steps were recorded, and a level takes {window}")
    known = loss[np.isfinite(loss)]
    if len(known) <= window or known.min() <= 0:
        raise NotApplicable("the loss is not positive in all steps")
    least = floor * float(np.median(known[:10]))
    spikes = [i for i in _high(loss, window, times) if _beyond(loss, i, window, sigmas, times, least)]
    spikes = [i for i in spikes if _beyond(norm, i, window, sigmas, times, 0.0)]
    if not spikes:
        return
    first = spikes[0]
    level = float(np.nanmedian(loss[first - window : first]))
    yield Finding(
        f"the loss jumps to {loss[first]:.3g} at step {first}, from {level:.3g}, in one of {len(spikes)} spikes",
        location=steps.location if steps is not None else None,
        subject="loss",
        evidence=(Evidence("spikes", len(spikes), 0), Evidence("loss", float(loss[first]), level)),
        fix=Fix(
            "clip the gradient norm",
            "One batch then moves the weights no further than the others.",
            f"torch.nn.utils.clip_grad_norm_(model.parameters(), {float(np.nanquantile(norm, 0.9)):.2g})",
        ),
    )


def _high(values: NDArray[np.float64], window: int, times: float) -> list[int]:
    """Steps with so many times the level of the ``window`` before: nearly none, and the others need no closer look."""
    if not np.isfinite(values).all():
        return list(range(window, len(values)))
    found: list[int] = []
    for start in range(window, len(values), ROWS):  # in pieces, since the windows of a long run are gigabytes
        stop = min(start + ROWS, len(values))
        before = np.lib.stride_tricks.sliding_window_view(values[start - window : stop - 1], window)
        found.extend((start + np.flatnonzero(values[start:stop] > times * np.median(before, axis=1))).tolist())
    return found


def _beyond(values: NDArray[np.float64], at: int, window: int, sigmas: float, times: float, least: float) -> bool:
    before = values[at - window : at]
    before = before[np.isfinite(before)]
    if len(before) < window // 2 or not np.isfinite(values[at]):
        return False
    level = float(np.median(before))
    spread = 1.4826 * float(np.median(np.abs(before - level)))
    return bool(values[at] > max(level + sigmas * spread, times * level, level + least))
