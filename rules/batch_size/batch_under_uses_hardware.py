from collections.abc import Iterator

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import BatchSweep, LearningRateSweep, Loaders, Optimizers, Run
from dnndoctor.rule import rule
from dnndoctor.rules.batch_size.scaled_rate import root_scaled, scaled_rate, with_rate


@rule("BAT102", Severity.INFO, practice="batch-size")
def batch_under_uses_hardware(
    sweep: BatchSweep,
    loaders: Loaders,
    run: Run,
    optimizers: Optimizers | None,
    rates: LearningRateSweep | None,
    *,
    gain: float = 1.3,
    large_gain: float = 2.0,
    updates: int = 100,
) -> Iterator[Finding]:
    """A larger batch would pass clearly more samples per second.

    What it measures
        Samples per second of your own loop at powers of two and at your batch size. The knee is the size from which on
        a larger batch brings next to nothing; the spread of the repeats is taken off the gain, and so is the share of
        a step that goes into waiting for data.

    Why it matters
        Below the knee most of a step is overhead, and on an accelerator most of its units wait.

    How to fix it
        Take the size at the knee and change the rate with it: in proportion for SGD, with the root for Adam.

    When to ignore it
        A small batch was chosen for its noise, or the run is short as it is. On a CPU it is information only, as small
        networks are always faster in larger batches there.

    References
        Goyal et al. 2017, Accurate, Large Minibatch SGD, section 2.1: the linear rule for the rate.
        Malladi et al. 2022, On the SDEs and Scaling Rules for Adaptive Gradient Algorithms: the root rule for Adam.
        gain: 1.3, this project's choice; beyond the repeats' spread too, 1.06 to 1.55 in sweeps at one size.
        large_gain: 2.0, measured on repeated sweeps: beyond the widest spread between repeats, 1.55.
        updates: 100, this project's choice: fewer updates per epoch take more epochs than the speed wins back.
    """
    if sweep.user_size == 1:
        raise NotApplicable("updates from single samples are another rule's matter")
    knee, length = sweep.knee[0], loaders.dataset_length
    if knee <= sweep.user_size:
        return
    if length is None:
        raise NotExamined("how many samples an epoch takes is not known: no loader over a data set of known length")
    if length / knee < updates:
        raise NotApplicable(f"at {knee} samples per batch an epoch would have {length // knee} updates only")
    now, then = sweep.at(sweep.user_size), sweep.at(knee)
    waiting = min(max(loaders.wait_share, 0.0), 1.0)  # for data: of that no larger batch takes anything away
    then = now / (waiting + (1 - waiting) * now / then)
    between = (sweep.sizes == sweep.user_size) | (sweep.sizes == knee)
    if then <= now * max(gain, float(sweep.spread[between].max(initial=1.0))):
        return
    adaptive = optimizers is not None and root_scaled(optimizers.main)
    factor = knee / sweep.user_size
    rate = scaled_rate(optimizers, rates, factor)
    rule_of_rate = f"{factor**0.5:.2g} (root rule)" if adaptive else f"{factor:.2g} (linear rule)"
    grave = then > large_gain * now and run.device != "cpu"
    yield Finding(
        f"batches of {sweep.user_size} give {now:.0f} samples/s, batches of {knee} give {then:.0f}",
        location=loaders.batch_location,
        subject=loaders.training.dataset if loaders.training else None,
        evidence=(Evidence("batch size", sweep.user_size, knee), Evidence("throughput", now, then, "samples/s")),
        fix=Fix(
            f"take batches of {knee}",
            f"{then / now:.1f} times as many samples per second. Multiply the learning rate by {rule_of_rate}, "
            "then check the loss.",
            f"batch_size={knee}" + (f"  # and lr={rate}" if rate else ""),
            (
                SetArgument("batch_size", str(knee), position=1, unless=("batch_sampler",), of=("DataLoader",)),
                *with_rate(optimizers, rate),
            ),
        ),
        severity=Severity.WARNING if grave else Severity.INFO,
    )
