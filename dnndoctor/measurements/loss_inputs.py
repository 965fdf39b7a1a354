"""What each loss is fed, place by place."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location
from dnndoctor.measurements.losses import Fed


@dataclass(frozen=True, slots=True)
class SoftmaxUse:
    """A softmax on the way into a loss: the ``axis`` over which it normalises, counted from 0, of a tensor of this
    ``shape``; ``chosen``: the source names the axis."""

    function: str
    location: Location | None
    module: str
    axis: int
    shape: tuple[int, ...]
    chosen: bool = True


@dataclass(frozen=True, slots=True)
class LossInput:
    """One place where a known loss is called.

    ``location``: the call; ``built``: where its module was constructed, None for a function. ``input_shape``,
    ``target_shape``: at the first call. ``target_kind``: "float", "integer", "bool". ``from_integers``: the target was
    cast from whole numbers in the loop. ``target_is_input``: it is what the model was given.
    ``ignore_index``, ``ignored_share``, ``log_normaliser`` (median of log sum exp over the classes, nats;
    ``lowest_log_normaliser`` its 5th percentile): of losses over class indices, None elsewhere.
    ``prediction``, ``target``: quantiles 0, 0.01, 0.05, 0.5, 0.95, 0.99, 1 over ``rows`` pooled samples, empty where
    shapes differ. ``whole``: all targets are whole numbers, ``distinct`` the first 24 of their values. ``one_hot``:
    every row of targets holds one 1 and zeros else. ``certain_share``: predictions of exactly 0 or 1;
    ``certain_wrong_share``: those that miss a target of 0 or 1 entirely. ``worst_share_of_error``: part of the squared
    error that the worst 2 % of ``judged_rows`` samples make; ``outliers_share_of_error``: by those of them whose
    target lies beyond 6 robust standard deviations; ``outlying``: share of all samples that do.
    ``late_error``: mean squared error then.
    ``probabilities``: the scores of every sampled row are not negative and add up to 1 over the classes.
    ``by_hand``: the loss is written out, as a difference squared or made absolute.
    ``chain`` as in ``Loss``; ``softmaxes``: those in it, nearest first. ``linear``: backward
    begins at this loss times a factor, with nothing added to it, ``sign`` where that factor comes in;
    ``divided``: it is multiplied or divided before backward, ``added_to``: other terms are added.
    """

    function: str
    location: Location | None
    input_shape: tuple[int, ...]
    target_shape: tuple[int, ...]
    built: Location | None = None
    calls: int = 1
    input_differentiable: bool = True
    target_differentiable: bool = False
    target_kind: str = "float"
    reduction: str = "mean"
    ignore_index: int | None = None
    weighted: bool = False
    from_integers: bool = False
    target_is_input: bool = False
    rows: int = 0
    log_normaliser: float | None = None
    lowest_log_normaliser: float | None = None
    ignored_share: float = 0.0
    prediction: tuple[float, ...] = ()
    target: tuple[float, ...] = ()
    target_mean: float = 0.0
    target_std: float = 0.0
    whole: bool = False
    distinct: tuple[float, ...] = ()
    one_hot: bool = False
    certain_share: float = 0.0
    certain_wrong_share: float = 0.0
    judged_rows: int = 0
    late_error: float = 0.0
    worst_share_of_error: float = 0.0
    outliers_share_of_error: float = 0.0
    outlying: float = 0.0
    chain: tuple[Fed, ...] = ()
    softmaxes: tuple[SoftmaxUse, ...] = ()
    probabilities: bool = False
    linear: bool = False
    sign: Location | None = None
    by_hand: bool = False
    divided: bool = False
    added_to: bool = False

    @property
    def place(self) -> Location | None:
        """Where the loss is chosen: its construction, else the call."""
        return self.built or self.location

    @property
    def samples(self) -> int:
        """Rows of the first call."""
        return self.input_shape[0] if self.input_shape else 1


@dataclass(frozen=True, slots=True)
class Difference:
    """A prediction less a target, squared or made absolute and summed up by hand, that broadcast to ``result``.

    ``side`` of the difference that the prediction stands on: 0 or 1.
    """

    location: Location | None
    prediction_shape: tuple[int, ...]
    target_shape: tuple[int, ...]
    result: tuple[int, ...]
    side: int = 0


@dataclass(frozen=True, slots=True)
class LossInputs:
    """Every place of a known loss that backward may reach; ``differences``: of losses by hand.

    ``batch_size``: samples per step at the model. ``summed``: a sum over the batch, by hand, that is the whole loss.
    ``likelihood``: the log-probability that the whole loss is linear in, with the place where backward begins.
    """

    all: tuple[LossInput, ...]
    differences: tuple[Difference, ...] = ()
    batch_size: int = 0
    summed: Fed | None = None
    likelihood: Fed | None = None
