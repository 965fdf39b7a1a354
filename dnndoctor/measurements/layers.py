"""The layers of the model in forward order, as they were used and not as they were declared."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Layer:
    """One use of a weight in the forward pass: a linear, convolution, embedding, recurrent or norm operation.

    ``name`` is the module path ("blocks.0.fc1") or the weight's name for functional use; ``kind`` one of
    "linear", "conv", "embedding", "recurrent", "attention", "norm". ``inputs``/``outputs`` are the features
    (channels) going in and out, ``fan_in``/``fan_out`` as in ``torch.nn.init``.

    ``activation`` is the function that its output goes through before the next layer ("relu", "sigmoid",
    ... or None), ``normalized`` says that a norm layer stands between it and the next, ``residual`` that its
    output is added to a skip path, ``branch`` that it lies beside one, ``gate`` that its output multiplies
    another one. ``output`` marks a layer whose result reaches the loss with no further layer, ``first`` one that
    nothing weighted precedes.
    ``flops_share`` is its part of all layers' multiply-adds, 0 to 1.

    ``unit_std`` is the standard deviation across the batch of one unit's pre-activation, median over units,
    at the first step; ``grad_std`` the standard deviation of the loss gradient at the layer's output then.
    Either is None where it was not seen. ``chain`` is the first of the models that feed
    each other, "" where there is one model: what goes through one chain is not to be compared with another.
    """

    name: str
    kind: str
    weight: str
    location: Location | None
    inputs: int
    outputs: int
    fan_in: int
    fan_out: int
    activation: str | None = None
    normalized: bool = False
    residual: bool = False
    branch: bool = False
    gate: bool = False
    first: bool = False
    output: bool = False
    flops_share: float = 0.0
    unit_std: float | None = None
    grad_std: float | None = None
    chain: str = ""


@dataclass(frozen=True, slots=True)
class Layers:
    """All layers in the order of their first use; ``model`` is the class name of the first model."""

    model: str
    layers: tuple[Layer, ...]

    def chains(self) -> tuple[Layers, ...]:
        """The layers of each chain by themselves: a signal or a gradient is followed within one."""
        names = dict.fromkeys(each.chain for each in self.layers)
        return tuple(Layers(name or self.model, tuple(e for e in self.layers if e.chain == name)) for name in names)

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """Linear and convolution layers on the main path: neither output, gate nor norm."""
        return tuple(
            each for each in self.layers if each.kind in ("linear", "conv") and not each.output and not each.gate
        )

    @property
    def affine(self) -> tuple[Layer, ...]:
        """Linear and convolution layers, output included."""
        return tuple(each for each in self.layers if each.kind in ("linear", "conv"))

    def named(self, name: str) -> Layer | None:
        """The layer of that name, or None."""
        return next((each for each in self.layers if each.name == name), None)
