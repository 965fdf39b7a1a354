from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Layer, Layers, Padding, Run
from dnndoctor.rule import rule

CLASSES = 1000  # an output layer with more is taken for a vocabulary, which can be padded


@rule("DIM101", Severity.INFO, practice="power-of-two-dimensions")
def odd_dimensions(
    layers: Layers,
    run: Run,
    padding: Padding | None,
    *,
    multiple: int = 8,
    smallest: int = 64,
    flops: float = 0.05,
    gain: float = 1.1,
) -> Iterator[Finding]:
    """Layers that carry the arithmetic have sizes that the hardware's units cannot take whole.

    What it measures
        Features or channels, in and out, of the layers with a share in the multiply-adds. Sizes that the data
        dictates are left out: the input of the first layer, a number of classes; vocabularies count. A probe times
        these layers by themselves, forward and backward, as they are and with their sizes rounded up; it is a warning
        where a whole step would get faster by as much as the spread cannot explain. On a CPU nothing but that
        counts, and it is information: trainings seldom stay there.

    Why it matters
        Matrix units work on tiles. A size that is no multiple of their width is padded or falls back to slower code,
        so that 500 features can take longer than 512.

    How to fix it
        Round the size up to the next multiple; pad a vocabulary with entries that are never used.

    When to ignore it
        The size has a meaning of its own, or the step is bound by something else than these layers.

    References
        NVIDIA, Matrix Multiplication Background, section 4 "Dimension Quantization Effects" and table.
        multiple: 8, NVIDIA, Matrix Multiplication Background, section 3: 16 bytes, which are 8 values of 16 bits.
        smallest: 64, NVIDIA, Matrix Multiplication Background, section 4: below a tile's width it idles anyway.
        flops: 0.05, this project's choice: less cannot gain anything worth a change.
        gain: 1.1, this project's choice: a tenth of the time of each step is worth changing a number.
    """
    faster = padding.step_gain if padding else 1.0
    if run.device == "cpu" and faster < gain:
        raise NotApplicable("on a CPU odd sizes cost nothing that was measured")
    heavy = [each for each in layers.layers if each.kind != "norm" and each.flops_share > flops]
    found = {each: sizes for each in heavy if (sizes := _odd(each, multiple, smallest))}
    if not found:
        return
    first, share = next(iter(found)), sum(each.flops_share for each in found)
    odd = sorted({size for sizes in found.values() for size in sizes})
    wanted = [size + -size % multiple for size in odd]
    pairs = ", ".join(f"{better} for {size}" for size, better in zip(odd, wanted, strict=True))
    shown = ", ".join(str(size) for size in odd)
    evidence = [Evidence("size", odd[0], wanted[0]), Evidence("share of the arithmetic", share)]
    brings = f"whole tiles for {share:.0%} of the arithmetic"
    measured = ""
    if padding and faster >= gain:
        evidence.append(Evidence("times as fast a step when padded", faster, 1.0))
        brings = f"a step then takes {1 / faster:.0%} of its time on this {run.device.upper()}"
        measured = f"; with padded sizes a step would be {faster:.2g} times as fast on this {run.device.upper()}"
    yield Finding(
        f"{share:.0%} of the arithmetic is in layers with sizes that are no multiple of {multiple}: {shown}{measured}",
        location=first.location,
        subject=first.name,
        evidence=tuple(evidence),
        fix=Fix("round the sizes up", f"Take {pairs}: {brings}.", f"# {pairs}"),
        severity=Severity.WARNING if measured and run.device != "cpu" else None,
    )


def _odd(layer: Layer, multiple: int, smallest: int) -> list[int]:
    free = [] if layer.first and layer.kind != "embedding" else [layer.inputs]
    if not layer.output or layer.outputs > CLASSES:
        free.append(layer.outputs)
    return [size for size in free if size >= smallest and size % multiple]
