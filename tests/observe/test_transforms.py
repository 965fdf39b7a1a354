"""Function transforms, tracing and compilation inside of a watched loop do what they do in a bare one."""

# mypy: disable-error-code="no-untyped-call, no-any-return"
from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jacrev, jvp, vmap
from torch.fx import symbolic_trace

from tests.observe.watching import examine, modes

X = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
Y = (X.sum(1) > 0).long()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 4)
        self.last = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.first(x)))


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {k: p.detach() for k, p in model.named_parameters()}


def one_loss(parameters: dict[str, torch.Tensor], model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(functional_call(model, parameters, (x[None],)), y[None])


def per_sample_gradients(model: Net) -> Any:
    return vmap(grad(one_loss), in_dims=(None, None, 0, 0))(weights(model), model, X, Y)


def per_sample_from_method(model: Net) -> Any:
    """The layers called by ``.forward`` within the transform."""

    def loss(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return functional_call(model.first, {"weight": weight}, (x,)).pow(2).sum()

    return vmap(grad(loss), in_dims=(None, 0))(model.first.weight.detach(), X)


def jacobian(model: Net) -> Any:
    return jacrev(lambda x: model(x))(X[0])


def forward_mode(model: Net) -> Any:
    return jvp(lambda x: model.forward(x), (X,), (torch.ones_like(X),))


def hessian_vector(model: Net) -> Any:
    return torch.func.hessian(lambda w: functional_call(model, {**weights(model), "last.bias": w}, (X,)).exp().sum())(
        model.last.bias.detach()
    )


def ensemble(model: Net) -> Any:
    parameters, buffers = torch.func.stack_module_state([model, model])
    return vmap(lambda p, b, x: functional_call(model, (p, b), (x,)), in_dims=(0, 0, None))(parameters, buffers, X)


def traced(model: Net) -> Any:
    return torch.jit.trace(model, X)(X)


def traced_function(model: Net) -> Any:
    return torch.jit.trace(lambda x: torch.tanh(x).relu().sum(0), X)(X)


def scripted(model: Net) -> Any:
    return torch.jit.script(model)(X)


def fx_traced(model: Net) -> Any:
    return symbolic_trace(model)(X)


def exported(model: Net) -> Any:
    return torch.export.export(model, (X,)).module()(X)


def faked(model: Net) -> Any:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        return tuple(model(mode.from_tensor(X)).shape)


def on_meta(model: Net) -> Any:
    with torch.device("meta"):
        twin = Net()
    return tuple(twin(torch.empty(3, 5, device="meta")).shape)


def parametrized(model: Net) -> Any:
    spectral = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    with torch.no_grad():
        spectral.weight.copy_(torch.ones(3, 4))
        spectral.bias.zero_()
    return spectral(torch.ones(2, 4))


def checkpointed(model: Net) -> Any:
    from torch.utils.checkpoint import checkpoint

    x = X.clone().requires_grad_()
    return torch.autograd.grad(checkpoint(model, x, use_reentrant=False).sum(), x)


WORK: list[Callable[[Net], Any]] = [
    per_sample_gradients,
    per_sample_from_method,
    jacobian,
    forward_mode,
    hessian_vector,
    ensemble,
    traced,
    traced_function,
    scripted,
    fx_traced,
    exported,
    faked,
    on_meta,
    parametrized,
    checkpointed,
]


def run(work: Callable[[Net], Any], steps: int = 3) -> tuple[list[float], list[Any], list[str]]:
    """Losses of a training loop in which ``work`` is done twice in every step, what that gave, and the warnings."""
    torch.manual_seed(0)
    results: list[Any] = []
    losses = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(steps):
            loss = nn.functional.cross_entropy(model(X), Y)
            results.append(work(model))
            optimizer.zero_grad()
            loss.backward()
            results.append(work(model))
            optimizer.step()
            losses.append(loss.item())
    return losses, results, [str(each.message) for each in caught]


def equal(one: Any, two: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(equal(one[k], two[k]) for k in one)
    if isinstance(one, (tuple, list)):
        return len(one) == len(two) and all(map(equal, one, two))
    return bool(one == two)


@pytest.mark.parametrize("work", WORK)
def test_the_same_results_and_no_warning_of_ours(work: Callable[[Net], Any], tmp_path: Path) -> None:
    run(work)  # some warn once, as they are imported
    losses, results, warned = run(work)
    watched: list[Any] = []
    before = modes()
    found = examine(tmp_path, lambda: watched.append(run(work)))
    assert modes() == before
    assert len(watched) == 1
    assert watched[0][0] == losses
    assert equal(watched[0][1], results)
    assert set(watched[0][2]) <= set(warned)
    assert found.losses == losses
    assert [(row["name"], row["steps"]) for row in found.rows["optimizer"]] == [("SGD", 3)]
    assert found.rows["event"] == []


@pytest.mark.parametrize("make", [torch.jit.script, lambda model: torch.jit.trace(model, X), symbolic_trace])
def test_what_was_made_of_a_model_is_trained(make: Callable[[nn.Module], Any], tmp_path: Path) -> None:
    def loop() -> list[float]:
        torch.manual_seed(0)
        model = make(Net())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses = []
        for _ in range(4):
            loss = nn.functional.cross_entropy(model(X), Y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    seen: list[float] = []
    found = examine(tmp_path, lambda: seen.extend(loop()))
    assert found.losses == seen == loop()
    assert [row["batch_size"] for row in found.rows["step"]] == [6] * 4
    parts = [tuple(row["parameter"].rpartition("first.")[1:]) for row in found.rows["gradient"] if row["step"] == 0]
    assert ("first.", "weight") in parts
    assert len(parts) == 4
