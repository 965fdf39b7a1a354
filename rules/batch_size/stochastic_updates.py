from collections.abc import Iterator

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import BatchSweep, LearningRateSweep, Loaders, Optimizers, Run
from dnndoctor.rule import rule
from dnndoctor.rules.batch_size.scaled_rate import scaled_rate, with_rate


@rule("BAT101", Severity.WARNING, practice="batch-size")
def stochastic_updates(
    sweep: BatchSweep,
    loaders: Loaders,
    run: Run | None,
    optimizers: Optimizers | None,
    rates: LearningRateSweep | None,
    *,
    gain: float = 3.0,
    size: int = 32,
) -> Iterator[Finding]:
    """Every update is made from a single sample, though batches pass several times faster.

    What it measures
        Samples per step as they arrive at the model, and samples per second of the same loop at batches of 1 and 32.

    Why it matters
        A step costs nearly the same for one sample as for a few dozen. Single samples also give the noisiest gradient
        there is, which asks for a low rate.

    How to fix it
        Take batches of about 32 and raise the rate with them: with the batch for SGD, with its root for Adam, and
        in either case clear of the rate at which training was seen to diverge.

    When to ignore it
        Samples come as a stream, one at a time, or one sample fills the memory. Samples of
        different shapes are not judged.

    References
        LeCun, Bottou, Orr and Mueller 1998, Efficient BackProp, section 4.1: stochastic against batch learning.
        Goyal et al. 2017, Accurate, Large Minibatch SGD, section 2.1: the rate grows with the batch.
        gain: 3.0, measured on repeated sweeps: samples per second at one size varied 1.06 to 1.55 times.
        size: 32, Masters and Luschi 2018, Revisiting Small Batch Training, abstract: 2 to 32 train best.
    """
    if loaders.batch_size != 1:
        raise NotApplicable(f"updates are made from batches of {loaders.batch_size}")
    if run is not None and run.family == "reinforcement":
        raise NotApplicable("samples come one at a time from an environment")
    training = loaders.training
    if training is not None and training.iterable and training.length is None:
        raise NotApplicable("samples come as a stream, one at a time")
    if not loaders.uniform:
        raise NotApplicable("samples differ in shape, so that they can't be stacked")
    if loaders.accumulation > 1:
        raise NotApplicable(f"gradients of {loaders.accumulation} passes are accumulated")
    if sweep.sizes.max() < size:
        raise NotApplicable(f"the sweep went no further than {sweep.sizes.max()} samples: {sweep.stopped}")
    one, many = sweep.at(1), sweep.at(size)
    if many <= gain * one:
        return
    rate = scaled_rate(optimizers, rates, size)
    yield Finding(
        f"every update is made from 1 sample: {one:.0f} samples/s, where batches of {size} give {many:.0f}",
        location=loaders.batch_location,
        subject=training.dataset if training else None,
        evidence=(Evidence("batch size", 1, size), Evidence("throughput", one, many, "samples/s")),
        fix=Fix(
            f"take batches of {size}",
            f"{many / one:.1f} times as many samples per second. Raise the learning rate with it"
            + (f", to about {rate}." if rate else "."),
            f"batch_size={size}" + (f"  # and lr={rate}" if rate else ""),
            (
                SetArgument("batch_size", str(size), position=1, unless=("batch_sampler",), of=("DataLoader",)),
                *with_rate(optimizers, rate),
            ),
        ),
    )
