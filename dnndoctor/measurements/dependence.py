"""Which outputs of a model depend on what: on other samples of the batch, on later steps of a sequence."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Passage:
    """The operation through which a change goes from one entry, or step, to others.

    ``kind``: "view" (a reshape that tears an entry apart), "recurrent", "attention", "normalizing" (softmax and the
    like), "layer" (linear or convolution), "other", or "unknown" where it could not be followed. ``layer`` is the path
    of the module around a recurrent or attention operation, ``batch_first`` its setting and ``layer_location`` where it
    is built. ``alone``: what it was given has one sequence only, so that it goes over the entries on purpose.
    """

    kind: str
    operation: str = ""
    location: Location | None = None
    layer: str | None = None
    layer_class: str = ""
    batch_first: bool | None = None
    layer_location: Location | None = None
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Mixing:
    """Of one model, with one sample of the batch put in another's place, in evaluation mode.

    ``entries``: samples along the first axis; ``tried`` of them were exchanged; ``others``: samples whose output then
    changed, at the worst, and ``effect`` their largest change over the exchanged sample's own. ``loaded``: a training
    loader stacked the samples along that axis, or training on the next step shows that the steps lie along the second;
    ``shuffled``: the loader gives them in random order. ``shape``: of the first input.
    ``clean_elsewhere``: along another axis no entry changes another, so that this may be the batch.
    ``changes``: of each exchanged sample its index and how much every sample's output changed, over its own change.
    """

    model: str
    entries: int
    tried: int
    effect: float
    others: int
    loaded: bool = False
    shuffled: bool = False
    shape: tuple[int, ...] = ()
    clean_elsewhere: bool = False
    passage: Passage | None = None
    changes: tuple[tuple[int, tuple[float, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class FutureLeak:
    """Of one model that is trained on the next step: ``equal`` is the share of ``compared`` targets that are the
    input one step later. ``effect``: with the last of ``steps`` exchanged, the largest change of the output before it
    over the largest of all.
    """

    model: str
    steps: int
    equal: float
    compared: int
    effect: float
    passage: Passage | None = None


@dataclass(frozen=True, slots=True)
class Dependence:
    """Every model that could be looked at; ``leaks``: those of them that are trained on the next step."""

    mixings: tuple[Mixing, ...] = ()
    leaks: tuple[FutureLeak, ...] = ()
