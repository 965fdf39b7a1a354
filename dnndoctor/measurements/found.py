"""The training loop that was found: what is trained, by which optimizer, on which batches, for which loss."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class FoundModel:
    """One model of the user's, without wrappers around it; or the tensors that are trained without being in one.

    ``name``: the variable that holds it, or its class where none was found. ``trainable``: entries that an optimizer
    holds; 0 for a teacher or a target network. ``prefix``: what the names of its layers begin with, "" if nothing.
    ``tensors``: the names of single tensors, where it is no model.
    """

    name: str
    class_name: str
    parameters: int
    trainable: int
    location: Location | None = None
    prefix: str = ""
    tensors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundOptimizer:
    """One optimizer; ``models``: names of those it trains.

    ``learning_rate``: its largest in the watched steps; ``lowest_rate``: of its groups at the first, where they differ.
    """

    name: str
    learning_rate: float
    steps: int
    models: tuple[str, ...] = ()
    location: Location | None = None
    lowest_rate: float | None = None


@dataclass(frozen=True, slots=True)
class FoundLoader:
    """One loader; ``name``: its dataset's class. ``role`` and ``batch_size`` as in ``Loader``."""

    name: str
    role: str
    batch_size: int | None
    workers: int
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class FoundLoss:
    """A known loss operation and the line of its call, or "expression" and the line that makes backward's argument."""

    name: str
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class TrainingLoop:
    """``family`` as in ``Run``, with ``family_reason`` in a sentence. No ``loaders``: the script makes its batches."""

    family: str
    family_reason: str
    models: tuple[FoundModel, ...] = ()
    optimizers: tuple[FoundOptimizer, ...] = ()
    loaders: tuple[FoundLoader, ...] = ()
    losses: tuple[FoundLoss, ...] = ()
