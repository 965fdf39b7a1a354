"""The model's parameters as rows: shape, fans, first values, who holds them."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe import sampling
from dnndoctor.observe.arguments import assignment
from dnndoctor.observe.transforms import readable

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.steps import OptimizerFacts
    from dnndoctor.observe.watch import Watch

_NORM = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


class Inventory:
    """What the parameters were before the first step, and which of them came from a checkpoint."""

    def __init__(self) -> None:
        self._initial: MutableMapping[torch.Tensor, dict[str, Any]] = WeakIdKeyDictionary()
        self._loaded: MutableMapping[torch.Tensor, bool] = WeakIdKeyDictionary()
        self._left_out: list[torch.Tensor] = []
        self._left_out_of = -1
        self._stepped_next: MutableMapping[torch.Tensor, tuple[OptimizerFacts, Location | None]] = WeakIdKeyDictionary()

    def note_loaded(self, module: nn.Module) -> None:
        """These parameters came from a checkpoint, or from another model."""
        for parameter in module.parameters():
            self._loaded[parameter] = True
            self._initial.pop(parameter, None)

    def note_initial(self, parameters: list[torch.Tensor], anew: bool = False) -> None:
        """Take the statistics of parameters before the first step; of those without values yet, later.

        ``anew``: also of those that have them, since a script may initialise after it has tried the model once.
        """
        for parameter in parameters:
            if (anew or parameter not in self._initial) and readable(parameter) and parameter.numel():
                self._initial[parameter] = first_values(parameter)

    def note_step(self, facts: OptimizerFacts, watch: Watch) -> None:
        """Of the parameters that no optimizer holds, which have their first gradient as this optimizer steps."""
        if self._left_out_of != len(watch.optimizer_built):
            self._left_out_of = len(watch.optimizer_built)
            held = {id(p) for each in watch.optimizer_built for group in each.param_groups for p in group["params"]}
            self._left_out = [each[3] for each in watch.modules.named_parameters() if id(each[3]) not in held]
        for each in self._left_out:
            if each.grad is not None:
                # One that was built anew goes by the facts of the first of its kind, but not by its line.
                self._stepped_next.setdefault(each, (facts, watch.optimizer_built.get(facts.optimizer)))
        self._left_out = [each for each in self._left_out if each.grad is None]

    def stepped_next(self, parameter: torch.Tensor) -> tuple[int | None, Location | None]:
        """The optimizer that stepped next after a parameter in no optimizer got its first gradient: index and line."""
        found = self._stepped_next.get(parameter)
        return (None, None) if found is None else (found[0].index, found[1])

    def pass_on(self, one: torch.Tensor, after: torch.Tensor) -> None:
        """``after`` stands where ``one`` stood."""
        if one in self._initial:
            self._initial[after] = self._initial[one]

    def initial(self, parameter: torch.Tensor) -> dict[str, Any]:
        """Its statistics before the first step, if they were taken."""
        return self._initial.get(parameter, {})

    def loaded(self, parameter: torch.Tensor) -> bool:
        """Whether it came from a checkpoint."""
        return parameter in self._loaded


def fingerprint(module: nn.Module) -> tuple[object, ...]:
    """Tells one set of weights from another: shapes and sums of the first parameters that have values."""
    some = [each.detach() for each in module.parameters() if readable(each) and each.numel()][:4]
    return tuple((tuple(each.shape), float(each.double().sum())) for each in some if not each.is_complex())


def first_values(parameter: torch.Tensor) -> dict[str, Any]:
    """Statistics of a parameter that no step has changed; nothing of one that holds no floating-point numbers."""
    value = parameter.detach()
    if not value.is_floating_point():
        return {}
    sample = sampling.flat_sample(value).float()
    few = value.reshape(value.shape[0], -1)[:64] if value.dim() > 1 else value.reshape(1, -1)
    return {
        "mean": float(sample.mean()),
        "std": float(sample.std()) if sample.numel() > 1 else 0.0,
        "max_abs": float(sampling.largest(value)),
        "constant": bool((sample == sample[0]).all()),
        "identical_rows": bool(len(few) > 1 and (few == few[0]).all()),
    }


def kind_of(module: nn.Module, short: str, parameter: torch.Tensor) -> str:
    """As ``measurements.Parameter.kind``; ``short``: its name in its module."""
    if isinstance(module, _NORM) or "Norm" in type(module).__name__:
        return "norm"
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        return "embedding"
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)) and parameter.dim() > 1:
        return "recurrent"
    if parameter.dim() > 1:
        return "weight"
    return "bias" if "bias" in short else "other"


def parameter_rows(watch: Watch) -> list[dict[str, Any]]:
    """All parameters of all models, in the order of ``named_parameters``."""
    holders = {i: (each.index, each.rate()) for each in watch.optimizers for i in each.held | each.now()}
    named = list(watch.modules.named_parameters())
    idle = _idle(watch)
    rows = []
    for number, one in enumerate(named):
        rows.append(_row(watch, number, one, holders.get(id(one[3]))))
        rows[-1]["facts"]["idle_optimizer_at"] = idle.get(id(one[3]))
    known = {id(p) for _, _, _, p in named}
    for each in watch.optimizers:
        for parameter in each.parameters():
            if id(parameter) not in known:
                known.add(id(parameter))
                name = watch.forward.parameter_names.get(id(parameter), f"parameter{len(rows)}")
                item = (name, name, nn.Module(), parameter)
                rows.append(_row(watch, len(rows), item, holders.get(id(parameter))))
    return rows


def _idle(watch: Watch) -> dict[int, Location | None]:
    """The parameters, by id, that an optimizer holds which was built and has not made a step; where it was built."""
    stepped = {id(each.optimizer) for each in watch.optimizers}
    waiting = [(each, place) for each, place in watch.optimizer_built.items() if id(each) not in stepped]
    return {id(p): place for each, place in waiting for group in each.param_groups for p in group["params"]}


def _row(
    watch: Watch, number: int, item: tuple[str, str, nn.Module, torch.Tensor], holder: tuple[int, float] | None
) -> dict[str, Any]:
    name, short, module, parameter = item
    fan_in = fan_out = None
    if parameter.dim() > 1 and not parameter.is_meta:
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(parameter)
    grad = parameter.grad
    received = id(parameter) in watch.received or (grad is not None and readable(grad) and bool(_dense(grad).any()))
    bare = type(module) is nn.Module
    stepped_next, stepped_at = watch.inventory.stepped_next(parameter)
    return {
        "id": number,
        "name": name,
        "module": "" if bare else watch.modules.path(module),
        "module_class": "" if bare else type(module).__name__,
        "shape": list(parameter.shape),
        "kind": kind_of(module, short, parameter),
        "fan_in": fan_in,
        "fan_out": fan_out,
        "trainable": parameter.requires_grad,
        "optimizer": holder[0] if holder else None,
        "learning_rate": holder[1] if holder else None,
        "location": assignment(watch.script, name) if bare else watch.modules.location(module),
        "facts": {
            "stepped_next": stepped_next,
            "stepped_next_at": stepped_at,
            **watch.inventory.initial(parameter),
            "loaded": watch.inventory.loaded(parameter),
            "parametrized": "parametrizations" in name or "_orig" in short or hasattr(module, "weight_g"),
            "used": name in watch.used,
            "no_grad_at": watch.without_gradients.get(id(parameter)),
            "received_gradient": received,
            "zero_gradient": not received and id(parameter) in watch.zero_gradients,
            "effective_steps": watch.effective.get(id(parameter), 0),
            "sparse": bool(grad is not None and grad.is_sparse),
        },
    }


def _dense(grad: torch.Tensor) -> torch.Tensor:
    return grad.coalesce().values() if grad.is_sparse else grad
