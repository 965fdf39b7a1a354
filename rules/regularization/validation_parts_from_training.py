from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Course, Curve
from dnndoctor.rule import rule
from dnndoctor.rules.overfit import NO_HELD_OUT_LOSS


@rule("REG110", Severity.WARNING, practice="regularization", not_for=NO_HELD_OUT_LOSS)
def validation_parts_from_training(
    course: Course, *, fewest: int = 6, given_back: float = 0.1, worse: float = 1.1, past: float = 0.15
) -> Iterator[Finding]:
    """The validation loss rises while the training loss goes on falling: the model over-fits.

    What it measures
        The logged losses of the whole run: where the validation loss, smoothed over three evaluations, was lowest, how
        much it rose from there to the end, and whether the training loss fell over the same stretch.

    Why it matters
        From there on the model learns its training samples by heart, and becomes worse on all others.

    How to fix it
        Take the checkpoint of the best evaluation. Then more data or augmentation, dropout or weight decay, and early
        stopping.

    When to ignore it
        The metric that counts went on getting better: of a classifier the loss may rise by over-confidence alone.

    References
        Prechelt 1998, Early Stopping - But When?, section 2. Guo et al. 2017, On Calibration, section 3: the loss may
        over-fit without the error.
        fewest: 6, this project's choice: evaluations.
        given_back: 0.1, this project's choice: share of what the validation loss had fallen; noise gives back less.
        worse: 1.1, this project's choice: the end against the best.
        past: 0.15, this project's choice: share of the run after the best.
    """
    held, loss = course.curve("validation loss"), course.loss
    if held is None:
        raise NotExamined("the log tells no validation loss")
    if loss is None:
        raise NotExamined("the log tells no training loss to compare with")
    if len(held.value) < fewest or not np.isfinite(held.value).all():
        raise NotExamined(f"fewer than {fewest} finite validation losses were logged")
    if held.value.min() <= 0:
        raise NotApplicable("the validation loss is not positive")
    padded = np.pad(held.value, 1, mode="edge")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, 3), axis=1)
    about = max(int(smooth.argmin()) - 1, 0)
    best = about + int(held.value[about : about + 3].argmin())
    rise, low = float(smooth[-1] - held.value[best]), float(held.value[best])
    share = float((held.step[-1] - held.step[best]) / max(held.step[-1] - held.step[0], 1e-12))
    fallen = max(float(held.value[0]) - low, 0.0)
    if share <= past or smooth[-1] < worse * low or rise < given_back * fallen:
        return
    every = 1.5 * float(np.median(np.diff(held.step)))
    then, now = _training(loss, held.step[best], every), _training(loss, held.step[-1], every)
    if not (np.isfinite(then) and np.isfinite(now)) or now >= then:
        return  # both rise: that is no over-fitting
    yield _finding(course, held, best, smooth, (then, now), share)


def _training(loss: Curve, step: float, every: float) -> float:
    """The training loss from one evaluation to the next, median: epochs begin and end differently."""
    near = loss.value[(loss.step > step - every) & (loss.step <= step)]
    near = near if len(near) else loss.value[: max(loss.before(step + 1e-9), 0) + 1][-1:]
    return float(np.median(near)) if len(near) else float("nan")


def _finding(
    course: Course, held: Curve, best: int, smooth: np.ndarray, training: tuple[float, float], share: float
) -> Finding:
    where, low, end = course.at(held.step[best]), float(held.value[best]), float(smooth[-1])
    kept = course.resume(float(held.step[best]) + (1.5 if course.unit == "step" else 1e-9))  # some count from 1
    start = f"take {kept.path} ({course.at(kept.step)})" if kept is not None else f"stop at {where}"
    return Finding(
        f"over-fits from {where} on: the validation loss rises from {low:.3g} to {end:.3g} while the training loss "
        f"falls from {training[0]:.3g} to {training[1]:.3g}",
        location=held.place(best),
        subject=held.name,
        evidence=(
            Evidence("validation loss at the end", end, low),
            Evidence("training loss at the end", training[1], training[0]),
            Evidence(f"{course.unit} of the best", float(held.step[best])),
            Evidence("share of the run after it", share, 0.0),
        ),
        fix=Fix(
            f"{start}, and restrain the next run: more data or augmentation, dropout, weight decay",
            f"Ends at {low:.3g} instead of {end:.3g}, and saves the last {share:.0%} of the run.",
            "if val_loss < best:\n    best, wait = val_loss, 0\n    torch.save(model.state_dict(), 'best.pt')\n"
            "elif (wait := wait + 1) > 5:\n    break",
        ),
        severity=Severity.ERROR if end > 1.5 * low else Severity.WARNING,
    )
