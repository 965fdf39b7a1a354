from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, Severity
from dnndoctor.measurements import Loaders, MemoryUse
from dnndoctor.rule import rule


@rule("BAT105", Severity.WARNING, practice="batch-size")
def memory_near_limit(memory: MemoryUse, loaders: Loaders | None, *, share: float = 0.9) -> Iterator[Finding]:
    """Training takes nearly all the memory that there is.

    What it measures
        The peak of the memory that tensors took on the accelerator in the watched steps, or on the CPU that of the
        whole process, against what there is; on the CPU a limit set for a container counts.

    Why it matters
        One longer sequence, one larger last batch or the evaluation ends the run, hours later.

    How to fix it
        Take smaller batches and accumulate gradients over several, or compute activations anew in the backward pass.

    When to ignore it
        All batches have the same shape, and evaluation needs no more.

    References
        Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost: activations computed anew.
        share: 0.9, this project's choice: of the memory; fragments make the rest unusable.
    """
    used = memory.peak / max(memory.limit, 1)
    if used <= share:
        return
    size = loaders.batch_size if loaders is not None else 0
    yield Finding(
        f"training takes {used:.0%} of the memory: {memory.peak / 2**30:.3g} of {memory.limit / 2**30:.3g} GiB",
        location=loaders.batch_location if loaders is not None else None,
        subject=memory.device,
        evidence=(Evidence("share of the memory", used, share),),
        fix=Fix(
            "take smaller batches and accumulate" if size > 1 else "compute activations anew in the backward pass",
            f"Half of {size} samples at a time take about half of the activations." if size > 1 else "",
            f"batch_size={size // 2}  # and a step every second batch" if size > 1 else None,
        ),
    )
