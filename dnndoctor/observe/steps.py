"""What happens at the optimizer's step border: gradients, updates, and whether gradients were cleared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from dnndoctor.findings import Location
from dnndoctor.observe import sampling
from dnndoctor.observe.transforms import readable

WEIGHT_SAMPLE = 1024
MOST_BACKWARDS = 8  # of one step whose gradients are looked at


class UpdatesByHand(torch.optim.Optimizer):
    """Stands where an optimizer is asked for, and steps nothing: the user's own code does."""

    def __init__(self, parameters: list[torch.Tensor]) -> None:
        # Not Optimizer.__init__: this is none, and nothing shall be hooked onto it.
        self.param_groups = [{"params": parameters, "lr": 0.0}]
        self.state = defaultdict(dict)
        self.defaults = {}


@dataclass
class OptimizerFacts:
    """One optimizer that made a step."""

    index: int
    optimizer: torch.optim.Optimizer
    location: Location | None
    rates: list[float]
    settings: dict[str, float]
    held: set[int]
    steps: int = 0
    peak_rate: float = 0.0
    first_rate: float = 0.0
    last_rate: float = 0.0
    scheduler: str | None = None
    step_location: Location | None = None
    variable: str = ""  # that holds it where it steps
    rebuilt: bool = False  # another object of the same kind over the same parameters went on
    evaluations: int = 1  # of the closure, at most, in one step
    built_at_step: int = 0
    steps_alone: int = 0  # since the lead's last one
    # how its gradients are cleared
    intervals: int = 0
    uncleared: int = 0
    empty: int = 0
    backwards: int = 0
    backwards_total: int = 0
    cleared: bool = True
    interrupted: bool = False
    _known: list[torch.Tensor] = field(default_factory=list)
    _kept: torch.Tensor | None = None  # their norms as the last step left them
    _found: list[torch.Tensor] = field(default_factory=list)  # their norms as the backwards since then met them
    _left: list[torch.Tensor] = field(default_factory=list)  # norms that the backwards left

    @property
    def name(self) -> str:
        """The optimizer's class."""
        return "updates by hand" if isinstance(self.optimizer, UpdatesByHand) else type(self.optimizer).__name__

    @property
    def by_hand(self) -> bool:
        """Whether it is the user's own code that updates."""
        return isinstance(self.optimizer, UpdatesByHand)

    def parameters(self) -> list[torch.Tensor]:
        """Everything in its groups."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def now(self) -> set[int]:
        """The identities of its parameters; they change where an update by hand makes new tensors."""
        return {id(p) for p in self.parameters()}

    def rate(self) -> float:
        """The largest rate of its groups now."""
        return max((float(group.get("lr", 0.0)) for group in self.optimizer.param_groups), default=0.0)

    def before_backward(self) -> None:
        """Take the norms of gradients that the step before may have left; looked at when the step comes."""
        if not self.steps or self.cleared:
            return
        norms = _norms(self._known)
        if norms is None:
            self.cleared = True
        else:
            self._found.append(norms)

    def after_backward(self) -> None:
        """Note that there is something to step on."""
        self.backwards += 1
        if self.backwards <= MOST_BACKWARDS and (left := _norms(self.parameters()[:8])) is not None:
            self._left.append(left)

    def before_step(self, norms: list[float | None]) -> None:
        """Close the interval since the last step; ``norms`` are those of its gradients now."""
        if self.steps and self.backwards and not self.interrupted:
            self.intervals += 1
            self.uncleared += not self.cleared and not self._met_cleared()
            self.empty += not any(norms) and any(bool(each.any()) for each in self._left)
        self.interrupted = False
        self.backwards_total += self.backwards

    def _met_cleared(self) -> bool:
        return any(self._kept is None or not torch.equal(each, self._kept) for each in self._found)

    def after_step(self) -> None:
        """Remember some gradients as they are now, to know them again."""
        self.steps += 1
        self._known = [p for p in self.parameters() if p.grad is not None][:4]
        self._kept = _norms(self._known)
        self.cleared = self._kept is None
        self._found, self._left = [], []
        self.backwards = 0


def describe(optimizer: torch.optim.Optimizer, index: int, location: Location | None) -> OptimizerFacts:
    """The facts of an optimizer at its first step."""
    groups = optimizer.param_groups
    settings: dict[str, float] = {}
    for key, value in groups[0].items():
        if isinstance(value, (int, float)) and key != "lr":
            settings[key] = float(value)
        elif key == "betas":
            settings.update(beta1=float(value[0]), beta2=float(value[1]))
    rates = [float(group.get("lr", 0.0)) for group in groups]
    held = {id(p) for group in groups for p in group["params"]}
    return OptimizerFacts(index, optimizer, location, rates, settings, held, first_rate=max(rates, default=0.0))


def gradient_norms(parameters: list[torch.Tensor]) -> list[float | None]:
    """The l2 norm of every gradient, None where there is none; one transfer."""
    return norms_of([p.grad for p in parameters])


def norms_of(gradients: Sequence[torch.Tensor | None]) -> list[float | None]:
    """The l2 norm of each, None where there is none; one transfer."""
    found: list[float | None] = [None] * len(gradients)
    there = [(i, g) for i, g in enumerate(gradients) if g is not None and readable(g)]
    if there:
        norms = _stacked([_dense(g) for _, g in there])
        for (i, _), norm in zip(there, norms.tolist(), strict=True):
            found[i] = norm
    return found


def weight_samples(parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    """A copied sample of every parameter."""
    return [sampling.flat_sample(p, WEIGHT_SAMPLE).clone() for p in parameters]


def update_ratios(parameters: list[torch.Tensor], before: list[torch.Tensor]) -> list[float | None]:
    """Norm of the change over norm of the weight, from samples."""
    pairs = [(sampling.flat_sample(p, WEIGHT_SAMPLE), old) for p, old in zip(parameters, before, strict=True)]
    figures = [
        torch.stack([torch.linalg.vector_norm((new - old).float()), torch.linalg.vector_norm(old.float())])
        for new, old in pairs
    ]
    table = torch.stack([f.to(figures[0].device) for f in figures]).tolist() if figures else []
    return [change / size if size > 0 else None for change, size in table]


def _norms(parameters: list[torch.Tensor]) -> torch.Tensor | None:
    """The norms of their gradients, on the device; None where no gradient is there, or none but zeros on the CPU."""
    grads = [p.grad for p in parameters if p.grad is not None and readable(p.grad)]
    norms = _stacked([_dense(g) for g in grads]) if grads else None
    return None if norms is None or (norms.device.type == "cpu" and not bool(norms.any())) else norms


def _stacked(gradients: list[torch.Tensor]) -> torch.Tensor:
    """Norms as one tensor on the first gradient's device, [len(gradients)]; in float32, or wider if they are."""
    wide = [g.detach() if g.dtype in (torch.float32, torch.float64) else g.detach().float() for g in gradients]
    norms = torch._foreach_norm(wide)
    return torch.stack([n.to(norms[0].device, torch.float32) for n in norms])


def _dense(grad: torch.Tensor) -> torch.Tensor:
    return grad.coalesce().values() if grad.is_sparse else grad
