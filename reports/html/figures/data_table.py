"""What is known of the data: every set of samples, and what enters training, as a table."""

from collections.abc import Iterator

from dnndoctor.measurements import DataScan, DataTensor, Loader, Loaders, SampleSet, TrainingData
from dnndoctor.reports.html.figures.chart import brief
from dnndoctor.reports.html.figures.figure import Figure, Measurements, taken
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "Samples"
MOST_SETS, MOST_TENSORS = 4, 8
NONE = "-"

Row = tuple[str, ...]


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where nothing of the data was read."""
    scan, loaders = taken(measurements, DataScan), taken(measurements, Loaders)
    sets = scan.sets[:MOST_SETS] if scan else ()
    if not sets:
        return None
    return Figure(
        "figure-data",
        TITLE,
        _caption(scan) if scan else "",
        "",
        ("", *(_heading(each, len(sets)) for each in sets)),
        tuple(_rows(sets, loaders)),
        frozenset(),
        frozenset({DataScan, Loaders}),
        section="data",
        wide=True,
    )


def draw_tensors(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """What enters the model and the loss; None where it was not seen."""
    data = taken(measurements, TrainingData)
    if data is None or not data.tensors:
        return None
    shown = data.tensors[:MOST_TENSORS]
    broken = [each for each in shown if each.non_finite]
    caption = (
        f"{broken[0].name} holds {plural(broken[0].non_finite, 'value')} that are not finite."
        if broken
        else "Pooled over the watched steps; every value is finite."
    )
    return Figure(
        "figure-tensors",
        "What enters training",
        caption,
        "",
        ("tensor", "kind", "batch", "mean", "std", "lowest", "highest", "not finite"),
        tuple(_tensor(each) for each in shown),
        frozenset(),
        frozenset({TrainingData}),
        section="data",
        wide=True,
    )


def _tensor(each: DataTensor) -> Row:
    figures = (brief(v) for v in (each.mean, each.std, each.low, each.high))
    return each.name, each.kind, _shape(each.shape), *figures, number(each.non_finite)


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def _heading(each: SampleSet, count: int) -> str:
    return each.role if count < 2 or each.loader is None else f"{each.role} (loader {each.loader + 1})"


def _rows(sets: tuple[SampleSet, ...], loaders: Loaders | None) -> Iterator[Row]:
    yield "data set", *(each.dataset for each in sets)
    yield "samples", *(number(each.length) if each.length is not None else "a stream" for each in sets)
    yield "read", *(number(each.scanned) for each in sets)
    yield "input", *(f"{each.input_kind}, {_shape(each.input_shape)}" for each in sets)
    yield "target", *(_target(each) for each in sets)
    yield "equal samples", *(_twins(each) for each in sets)
    yield "blank, outlying", *(f"{each.odd.blank}, {each.odd.outlying}" if each.odd else NONE for each in sets)
    yield (
        "constant features",
        *(f"{each.features.constants} of {each.features.count}" if each.features else NONE for each in sets),
    )
    found = loaders.loaders if loaders else ()
    own = [found[each.loader] if each.loader is not None and each.loader < len(found) else None for each in sets]
    if any(own):
        yield "batch size", *(number(each.batch_size) if each and each.batch_size else NONE for each in own)
        yield "order", *(_order(each) for each in own)
        yield "workers", *(number(each.workers) if each else NONE for each in own)


def _order(loader: Loader | None) -> str:
    if loader is None:
        return NONE
    return "as stored" if loader.sequential else loader.sampler


def _target(each: SampleSet) -> str:
    target = each.targets
    if target is None:
        return NONE
    if target.classes:
        return plural(len(target.classes), "class").replace("classs", "classes")
    return f"{target.kind}, {brief(target.low)} to {brief(target.high)}"


def _twins(each: SampleSet) -> str:
    if each.twins is None:
        return NONE
    with_other = f", {each.twins.contradicting} with other labels" if each.twins.contradicting else ""
    return f"{number(each.twins.extra)}{with_other}"


def _caption(scan: DataScan) -> str:
    shared = [each for each in scan.overlaps if each.shared]
    if shared:
        worst = max(shared, key=lambda each: each.shared / max(each.looked_at, 1))
        return f"{number(worst.shared)} of {number(worst.looked_at)} evaluated samples are trained on, too."
    apart = " No evaluated sample was found among those trained on." if scan.overlaps else ""
    training = scan.training
    if training is None:
        return f"No training samples were read.{apart}"
    whole = training.length is not None and training.scanned >= training.length
    return f"{'All' if whole else 'A part'} of the training samples {'were' if whole else 'was'} read.{apart}"
