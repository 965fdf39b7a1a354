"""The samples themselves: what a pass over the datasets behind training and evaluation found."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Targets:
    """What is to be learned. ``kind``: "float", "integer", "bool" or "other"; ``shape`` of one sample's.

    ``classes``: each label with its number of samples, where targets are labels, one per sample; else empty.
    Mean, standard deviation and range are in the targets' own unit, 0 where they are no numbers.
    """

    kind: str
    shape: tuple[int, ...] = ()
    classes: tuple[tuple[float, int], ...] = ()
    mean: float = 0.0
    std: float = 0.0
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, slots=True)
class Filled:
    """A feature of which one ``value`` takes a ``share`` over a half, and lies ``gap`` standard deviations of the
    other values from the nearest of them."""

    index: int
    value: float
    share: float
    gap: float


@dataclass(frozen=True, slots=True)
class Features:
    """The ``count`` features of a table. ``constant``: index and value of features without variance, the first 20 of
    ``constants``. ``sparse``: in many features one value takes more than half, as in images, counts and codes.
    ``binary``: features of two values.
    """

    count: int
    constant: tuple[tuple[int, float], ...] = ()
    constants: int = 0
    filled: tuple[Filled, ...] = ()
    sparse: bool = False
    binary: int = 0


@dataclass(frozen=True, slots=True)
class OddSamples:
    """Of ``looked_at`` samples those whose entries are all the same (``blank``) and those more than 10 robust
    standard deviations from the rest, with a gap in between (``outlying``); indices of some of each.

    ``blank_class``, ``outlying_class``: they are what one class looks like.
    """

    looked_at: int
    blank: int = 0
    outlying: int = 0
    blank_at: tuple[int, ...] = ()
    outlying_at: tuple[int, ...] = ()
    blank_class: bool = False
    outlying_class: bool = False


@dataclass(frozen=True, slots=True)
class Twins:
    """Equal samples, found by hash. ``extra``: all but one of each kind. ``times``: how often every sample occurs, if
    all do equally often. ``contradicting``: samples whose input occurs with another label, too. ``balancing``: the
    copies even out the classes. ``natural``: with so few possible values equal samples are no surprise.
    ``first``: the first pairs of indices.
    """

    extra: int = 0
    times: int = 1
    contradicting: int = 0
    balancing: bool = False
    natural: bool = False
    first: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Leak:
    """An input feature that is the target but for scale and shift. ``correlation`` with it, ``next`` that of the next
    best feature; ``exact``: to rounding. ``location``: where the input was seen, None for a dataset's."""

    feature: int
    correlation: float
    next: float
    exact: bool
    samples: int
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class TokenPadding:
    """Share of token positions that hold one ``value`` which fills up ends of sequences and is nowhere else.

    ``empty``: sequences of nothing else; ``lengths``: different numbers of other tokens.
    """

    share: float
    value: float | None = None
    empty: int = 0
    lengths: int = 0


@dataclass(frozen=True, slots=True)
class SampleSet:
    """The samples behind one loader, or the tensors that a loop indexes (``loader`` None).

    ``role``: "training" or "evaluation". ``scanned`` of ``length`` samples were read, evenly spaced; ``source``:
    "tensors", "items" or "batches" (the watched ones only). ``input_kind`` as in ``Targets``, ``input_shape`` of one
    sample's main input. ``repeatable``: an index gives the same sample twice; None where that was not tried.
    """

    role: str
    loader: int | None
    location: Location | None
    dataset: str
    length: int | None
    scanned: int
    source: str
    input_kind: str = "float"
    input_shape: tuple[int, ...] = ()
    targets: Targets | None = None
    features: Features | None = None
    odd: OddSamples | None = None
    twins: Twins | None = None
    leak: Leak | None = None
    padding: TokenPadding | None = None
    repeatable: bool | None = None


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many of an evaluation's samples its training holds, too: ``shared`` of ``looked_at``.

    ``by``: "place" (the same index of one dataset, or the same memory) or "content" (the same hash). ``whole``: the
    evaluation is the whole training set. ``natural`` as in ``Twins``. ``training_share``: of the training set that was
    read. ``loader``: the evaluation has one, whose ``location`` this is.
    """

    location: Location | None
    training_location: Location | None
    shared: int
    looked_at: int
    by: str
    whole: bool = False
    natural: bool = False
    training_share: float = 1.0
    loader: bool = True


@dataclass(frozen=True, slots=True)
class SuspectLabels:
    """Labels that cross-validated predictions contradict: ``share`` of all ``samples``, ``sure_share`` of the
    quarter that is predicted most surely; ``agreement`` of predictions and labels among the others. ``beyond_chance``:
    of the way from always guessing the most frequent class (0) to always being right (1). ``missing``: why unknown.
    """

    samples: int = 0
    features: int = 0
    share: float = 0.0
    sure_share: float = 0.0
    beyond_chance: float = 0.0
    agreement: float = 0.0
    method: str = ""
    indices: tuple[int, ...] = ()
    location: Location | None = None
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class LossTargets:
    """Watched targets of one loss: each value with its count. ``per_sample``: there is one per sample of the batch.

    ``classes``: outputs that the loss chooses from, 0 where it does not.
    """

    function: str
    location: Location | None
    kind: str
    values: tuple[tuple[float, int], ...]
    per_sample: bool
    classes: int = 0
    ignored: int = -100
    weighted: bool = False


@dataclass(frozen=True, slots=True)
class RefusedTargets:
    """What a loss over class indices was given when it raised, which ended the script.

    Of an embedding (``function`` "embedding") they are ids, and ``classes`` its rows.
    """

    targets: LossTargets


@dataclass(frozen=True, slots=True)
class DataScan:
    """Everything that was found; ``batch_leak`` as ``Leak``, of what model and loss were given in the same steps.

    ``padding_known``: how the model tells padding from tokens ("padding_idx", "mask"); empty where it does not.
    """

    sets: tuple[SampleSet, ...]
    overlaps: tuple[Overlap, ...] = ()
    suspects: SuspectLabels = SuspectLabels(missing="it was not recorded")
    loss_targets: tuple[LossTargets, ...] = ()
    batch_leak: Leak | None = None
    padding_known: tuple[str, ...] = ()

    @property
    def training(self) -> SampleSet | None:
        """The largest set that is trained on."""
        found = [each for each in self.sets if each.role == "training"]
        return max(found, key=lambda each: each.length or 0) if found else None
