"""What happens at the optimizer's step border: gradients, updates, and whether gradients were cleared."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from dnndoctor.findings import Location
from dnndoctor.observe import sampling

WEIGHT_SAMPLE = 1024


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
    closure: bool = False
    scheduler: str | None = None
    step_location: Location | None = None
    # how its gradients are cleared
    intervals: int = 0
    uncleared: int = 0
    empty: int = 0
    backwards: int = 0
    backwards_total: int = 0
    cleared: bool = True
    interrupted: bool = False
    filled: bool = False
    probe_parameters: list[torch.Tensor] = field(default_factory=list)
    kept_norms: list[float] = field(default_factory=list)

    def parameters(self) -> list[torch.Tensor]:
        """Everything in its groups."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def rate(self) -> float:
        """The first group's rate now."""
        return max(float(group.get("lr", 0.0)) for group in self.optimizer.param_groups)

    def before_backward(self) -> None:
        """Look whether gradients of the step before are still there."""
        if not self.steps or self.cleared:
            return
        norms = _norms(self.probe_parameters)
        if norms != self.kept_norms or not any(norms):
            self.cleared = True

    def after_backward(self) -> None:
        """Note that there is something to step on."""
        self.backwards += 1
        if not self.filled:
            self.filled = any(p.grad is not None and bool(p.grad.any()) for p in self.parameters()[:8])

    def before_step(self) -> None:
        """Close the interval since the last step."""
        if self.steps and self.backwards and not self.interrupted:
            self.intervals += 1
            self.uncleared += not self.cleared
        self.interrupted = False
        if self.backwards and self.filled and not any(_norms(self.parameters())):
            self.empty += 1
        self.backwards_total += self.backwards

    def after_step(self) -> None:
        """Remember some gradients as they are now, to know them again."""
        self.steps += 1
        self.probe_parameters = [p for p in self.parameters() if p.grad is not None][:4]
        self.kept_norms = _norms(self.probe_parameters)
        self.cleared = not any(self.kept_norms)
        self.filled = False
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
    grads = [(i, p.grad) for i, p in enumerate(parameters) if p.grad is not None]
    dense = [(i, g.coalesce().values() if g.is_sparse else g) for i, g in grads]
    found: list[float | None] = [None] * len(parameters)
    if dense:
        norms = torch._foreach_norm([g.detach().float() for _, g in dense])
        for (i, _), norm in zip(dense, torch.stack([n.to(norms[0].device) for n in norms]).tolist(), strict=True):
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


def _norms(parameters: list[torch.Tensor]) -> list[float]:
    return [float(torch.linalg.vector_norm(_dense(p.grad))) if p.grad is not None else 0.0 for p in parameters]


def _dense(grad: torch.Tensor | None) -> torch.Tensor:
    assert grad is not None
    return grad.coalesce().values() if grad.is_sparse else grad
