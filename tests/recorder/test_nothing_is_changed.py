"""A training that is recorded, at the full cadence, ends bit for bit where it ends without, and so do
its random streams.
"""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

import dnndoctor
from dnndoctor.recording.reader import read

Told = list[Any]
X = torch.linspace(-2, 2, 96 * 8).reshape(96, 8).sin()
Y = torch.arange(96) % 3


def backward(loss: torch.Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3)
    )


def plain(told: Told) -> nn.Module:
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    criterion = nn.CrossEntropyLoss()
    loader = DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)
    for _ in range(3):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x + 0.01 * torch.randn_like(x)), y)
            backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            scheduler.step()
            told.append(loss.item())
        model.eval()
        with torch.no_grad():
            told.append(sum(float(criterion(model(x), y)) for x, y in loader))
    return model


def with_workers(told: Told) -> nn.Module:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x, y in DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True, num_workers=1):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        backward(loss)
        optimizer.step()
        told.append(loss.item())
    return model


def closure(told: Told) -> nn.Module:
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4, line_search_fn="strong_wolfe")

    def evaluate() -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(X), Y)
        backward(loss)
        return loss

    for _ in range(4):
        told.append(optimizer.step(evaluate).item())  # type: ignore[no-untyped-call]
    return model


def two_networks(told: Told) -> nn.Module:
    maker, judge = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8)), nn.Linear(8, 1)
    first = torch.optim.Adam(judge.parameters(), lr=1e-2)
    second = torch.optim.Adam(maker.parameters(), lr=1e-2)
    for _ in range(8):
        fake = maker(torch.randn(16, 4))
        loss = functional.softplus(judge(fake.detach())).mean() + functional.softplus(-judge(X[:16])).mean()
        first.zero_grad()
        backward(loss)
        first.step()
        other = functional.softplus(-judge(fake)).mean()
        second.zero_grad()
        backward(other)
        second.step()
        told += [loss.item(), other.item()]
    return nn.Sequential(maker, judge)


def half_precision(told: Told) -> nn.Module:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120, growth_interval=2)  # the first steps overflow
    for _ in range(40):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = functional.cross_entropy(model(X), Y)
        backward(scaler.scale(loss))
        scaler.step(optimizer)
        scaler.update()
        told += [loss.item(), scaler.get_scale()]
    return model


def accumulated(told: Told) -> nn.Module:
    model = network()
    optimizer = torch.optim.RMSprop(model.parameters(), foreach=False)
    for step in range(12):
        loss = functional.cross_entropy(model(X[step * 8 : step * 8 + 8]), Y[step * 8 : step * 8 + 8]) / 3
        backward(loss)
        if step % 3 == 2:
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
        told.append(loss.item())
    return model


def checkpointed(told: Told) -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = network(), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = checkpoint(self.body, x, use_reentrant=False)
            scores: torch.Tensor = self.head(hidden)
            return scores

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(6):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(X), Y)
        backward(loss)
        optimizer.step()
        told.append(loss.item())
    return model


def without_a_loss(told: Told) -> nn.Module:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(6):
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
        told.append(float(next(model.parameters()).sum()))
    return model


def growing(told: Told) -> nn.Module:
    model, head = network(), nn.Linear(3, 3)
    model.requires_grad_(False)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for step in range(8):
        if step == 4:
            model[4].requires_grad_(True)
            optimizer.add_param_group({"params": model[4].parameters(), "lr": 1e-3})
        optimizer.zero_grad()
        loss = functional.cross_entropy(head(model(X)), Y)
        backward(loss)
        optimizer.step()
        told.append(loss.item())
    return nn.Sequential(model, head)


def saved(told: Told) -> nn.Module:
    """A model that is copied, saved whole, traced and scripted in between."""
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        backward(functional.cross_entropy(model(X), Y))
        optimizer.step()
        whole = io.BytesIO()
        torch.save(model, whole)
        told.append(whole.getvalue())
        told.append(float(copy.deepcopy(model)(X).sum()))
        told.append(torch.jit.script(model).code)
        told.append(torch.jit.trace(model, X).code)  # type: ignore[no-untyped-call]
    return model


def compiled(told: Told) -> nn.Module:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    fast = torch.compile(model, backend="aot_eager")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(6):
        optimizer.zero_grad()
        loss = functional.cross_entropy(fast(X), Y)
        backward(loss)
        optimizer.step()
        told.append(loss.item())
    told.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    return model


def compiled_step(told: Told) -> nn.Module:
    """The function that is compiled holds the model's call and the loss."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    evaluate = torch.compile(lambda x, y: functional.cross_entropy(model(x), y), backend="aot_eager", fullgraph=True)
    for _ in range(6):
        optimizer.zero_grad()
        loss = evaluate(X, Y)
        backward(loss)
        optimizer.step()
        told.append(loss.item())
    told.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    return model


def compiled_optimizer(told: Told) -> nn.Module:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = torch.compile(optimizer.step, backend="aot_eager")
    for _ in range(4):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(X), Y)
        backward(loss)
        step()
        told.append(loss.item())
    told.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    return model


STYLES = (
    plain,
    with_workers,
    closure,
    two_networks,
    half_precision,
    accumulated,
    checkpointed,
    without_a_loss,
    growing,
    saved,
    compiled,
    compiled_step,
    compiled_optimizer,
)


def trained(style: Callable[[Told], nn.Module]) -> tuple[Told, list[torch.Tensor], Any]:
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    told: Told = []
    model = style(told)
    streams = (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]
    tensors = [each.detach().clone() for each in (*model.parameters(), *model.buffers())]
    return told, tensors, streams


@pytest.mark.parametrize("style", STYLES)
def test_bit_for_bit(style: Callable[[Told], nn.Module], tmp_path: Path) -> None:
    bare, tensors, streams = trained(style)
    watching = dnndoctor.watch(overhead=1, path=tmp_path / "a.dnnrec")
    try:
        recorded, same_tensors, same_streams = trained(style)
    finally:
        watching.close()
    assert watching.recorder.failure is None
    assert watching.recorder.step >= 3
    assert recorded == bare
    assert all(torch.equal(a, b) for a, b in zip(same_tensors, tensors, strict=True))
    assert same_streams == streams
    after, _, _ = trained(style)
    assert after == bare  # nothing of ours stays
    assert read(watching.path).run["steps"] == watching.recorder.step
