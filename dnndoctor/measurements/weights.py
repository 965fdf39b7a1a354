"""The model's parameters, as they were before the first step and as the optimizers hold them."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; statistics are those before the first step.

    ``kind``: "weight" (two or more dimensions of a linear, convolution, ...), "bias", "norm", "embedding",
    "recurrent" or "other". ``fan_in``/``fan_out`` as in ``torch.nn.init``, None below two dimensions.
    ``constant``: all entries equal. ``identical_rows``: all output units have the same weights (constant
    ones included). ``loaded``: came from a checkpoint. ``parametrized``: weight norm, LoRA and the like.

    ``optimizer`` is the index of the optimizer that holds it and ``learning_rate`` its group's, None if none
    does. ``used``: an observed forward pass used it. ``received_gradient``: a gradient other than exactly
    zero was seen in some step. ``effective_steps``: steps of its optimizer at a rate above zero.
    ``cut_by`` names the operation that cuts it off from the loss ("detach", "argmax", ...), with its place.
    ``stepped_next``: the index of the optimizer that stepped next after a parameter in no optimizer got its first
    gradient, None if that was not seen; ``stepped_next_at``: where that one was built.
    ``sparse``: row-sparse gradients (embedding rows). ``drawn``: its statistics before the first step were taken.
    ``zero_gradient``: gradients of exactly zero were all that reached it.
    ``idle_optimizer_at``: where an optimizer was built that holds it and made no step. ``initialized_at``: the line of
    the user's that gave it its values by a function of ``torch.nn.init``, None where none did; ``with_vectors``: that
    line does so for biases and the like, too.
    """

    name: str
    module: str
    module_class: str
    shape: tuple[int, ...]
    kind: str
    fan_in: int | None
    fan_out: int | None
    trainable: bool
    location: Location | None = None
    mean: float = 0.0
    std: float = 0.0
    max_abs: float = 0.0
    constant: bool = False
    identical_rows: bool = False
    loaded: bool = False
    parametrized: bool = False
    optimizer: int | None = None
    learning_rate: float | None = None
    used: bool = True
    received_gradient: bool = True
    effective_steps: int = 0
    sparse: bool = False
    stepped_next: int | None = None
    stepped_next_at: Location | None = None
    cut_by: str | None = None
    cut_at: Location | None = None
    drawn: bool = True
    idle_optimizer_at: Location | None = None
    zero_gradient: bool = False
    initialized_at: Location | None = None
    with_vectors: bool = False

    @property
    def size(self) -> int:
        """The number of entries."""
        size = 1
        for dimension in self.shape:
            size *= dimension
        return size


@dataclass(frozen=True, slots=True)
class Weights:
    """All parameters in the order of ``named_parameters``."""

    parameters: tuple[Parameter, ...]

    def named(self, name: str) -> Parameter | None:
        """The parameter of that name, or None."""
        return next((each for each in self.parameters if each.name == name), None)
