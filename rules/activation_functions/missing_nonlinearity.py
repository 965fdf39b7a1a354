from collections.abc import Iterator

from dnndoctor.changes import Change, InsertItem, Rewrite
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, Severity
from dnndoctor.measurements import LinearPair, Wiring
from dnndoctor.rule import rule


@rule(
    "ACT106",
    Severity.WARNING,
    practice="activation-functions",
    not_for={"contrastive": "in contrastive learning a projection follows the encoder's linear output"},
)
def missing_nonlinearity(wiring: Wiring, *, narrowing: float = 0.5) -> Iterator[Finding]:
    """Two linear layers have nothing between them, so that both together are one linear layer.

    What it measures
        Trained linear layers (or convolutions) of one part of the model whose output nothing but the next one takes,
        past changes of shape and dropout. Left out are pairs that are narrower between than at both ends (low-rank
        factors, adapters, linear autoencoders), depthwise and one-sided kernels, shared, loaded and frozen weights,
        attention's projections, and pairs across parts such as an encoder and its head. A layer that narrows before the
        output layer is information, unless no activation stands between any of the layers.

    Why it matters
        The product of two matrices is a matrix: the layers cost memory and time, and the model can express no more
        than with one of them.

    How to fix it
        Put an activation between them, or leave one of them out.

    When to ignore it
        Studies of deep linear networks; layers that are merged after training.

    References
        Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.1: why hidden units need a nonlinear function.
        narrowing: 0.5, this project's choice: a hidden layer of less than half its inputs may be meant as an embedding.
    """
    if wiring.affine < 2:
        raise NotApplicable("fewer than two linear layers")
    linear = len(wiring.pairs) == wiring.affine - 1
    pairs = [each for each in wiring.pairs if each.siblings and each.inner >= min(each.inputs, each.outputs)]
    sure = [each for each in pairs if linear or not each.head or each.inner >= narrowing * each.inputs]
    lines: dict[tuple[Location | None, bool], list[LinearPair]] = {}
    for each in pairs:
        lines.setdefault((each.location, each in sure), []).append(each)
    for (_, certain), group in lines.items():
        yield _finding(group, wiring.affine if linear else None, certain)


def _finding(group: list[LinearPair], all_layers: int | None, certain: bool) -> Finding:
    first = group[0]
    many = f" (and {len(group) - 1} more such pairs here)" if len(group) > 1 else ""
    whole = f"; with no activation anywhere the {all_layers} layers are one linear map" if all_layers else ""
    return Finding(
        f"{first.first} feeds {first.second} with no activation between{many}: {first.inputs} to {first.inner} to "
        f"{first.outputs} features can do no more than {first.inputs} to {first.outputs}{whole}",
        location=first.location,
        subject=first.first,
        evidence=(
            Evidence("features between the two", first.inner),
            Evidence("pairs of linear layers with nothing between", len(group), 0),
        ),
        fix=Fix(
            f"put an activation between {first.first} and {first.second}",
            f"The {first.inner} units between them then bend the signal instead of passing it on.",
            "x = torch.relu(x)  # or nn.ReLU() in the sequence, between the two",
            _activation(group),
        ),
        severity=None if certain else Severity.INFO,
    )


def _activation(group: list[LinearPair]) -> tuple[Change, ...]:
    """Behind the first of the two: in the sequence that builds it, or around its call."""
    if len(group) > 1 or group[0].location is None:
        return ()
    if group[0].first.rpartition(".")[2].isdigit():
        return (InsertItem("torch.nn.ReLU()", after=True),)
    return (Rewrite("torch.relu({it})"),)
