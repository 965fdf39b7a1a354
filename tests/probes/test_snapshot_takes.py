"""A snapshot that takes things over gives the very same tensors back, with the very same values, whatever happened."""

# mypy: disable-error-code="no-untyped-call, no-any-return"
from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dnndoctor.probes.snapshot import Snapshot
from tests.probes.test_snapshot import OPTIMIZERS, Loop, same


def tensors(loop: Loop) -> list[Any]:
    """Every tensor object that a loop may hold on to."""
    found: list[Any] = [*loop.model.parameters(), *loop.model.buffers(), *(p.grad for p in loop.model.parameters())]
    for state in loop.optimizer.state.values():
        found += [value for value in state.values() if isinstance(value, torch.Tensor)]
        found += [each for value in state.values() if isinstance(value, list) for each in value]
    return found


def held(loop: Loop) -> list[int]:
    """The identities of parameters, buffers, gradients and of what the optimizer's state holds under each key."""
    return [id(each) for each in tensors(loop)]


def snapshot_of(loop: Loop, **options: bool) -> Snapshot:
    return Snapshot([loop.model], [loop.optimizer], [loop.scheduler], **options)


@pytest.mark.parametrize("take", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@given(before=st.integers(0, 3), trials=st.lists(st.integers(1, 3), min_size=1, max_size=3))
@settings(max_examples=5, deadline=None)
def test_after_trials_from_another_snapshot(optimizer: str, take: bool, before: int, trials: list[int]) -> None:
    """As the conductor does it: a start, steps of the user's, what they came to, trials, and back."""
    loop = Loop(optimizer)
    start = snapshot_of(loop, gradients=False)
    fresh = loop.state()
    for _ in range(before):
        loop.step()
    expected, objects = loop.state(), tensors(loop)
    snapshot = snapshot_of(loop, take=take)
    for steps in trials:
        start.begin_trial()
        now = loop.state()
        moved = {k for k in fresh if not k.startswith("grad.") and not same(fresh[k], now[k])}
        assert moved == set()
        for _ in range(steps):
            loop.optimizer.param_groups[0]["lr"] = 1e3
            loop.step()
    snapshot.restore()
    assert same(expected, loop.state())
    if optimizer != "lbfgs":  # whose history of tensors in lists is copied
        assert all(one is two for one, two in zip(tensors(loop), objects, strict=True))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_trial_that_raised_half_way_leaves_nothing(optimizer: str) -> None:
    loop = Loop(optimizer)
    start = snapshot_of(loop, gradients=False)
    loop.step()
    expected, identities = loop.state(), held(loop)
    snapshot = snapshot_of(loop, take=True)
    start.begin_trial()
    loop.step()
    handle = loop.model[3].register_forward_hook(lambda *_: (_ for _ in ()).throw(ValueError("diverged")))
    with pytest.raises(ValueError, match="diverged"):
        loop.step()
    handle.remove()
    snapshot.restore()
    assert same(expected, loop.state())
    if optimizer != "lbfgs":
        assert held(loop) == identities


def seeded(optimizer: str) -> Loop:
    random.seed(1)
    np.random.seed(1)
    return Loop(optimizer)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_follows_is_what_would_have_followed(optimizer: str) -> None:
    alone = seeded(optimizer)
    expected = [alone.step() for _ in range(6)]
    probed = seeded(optimizer)
    start = snapshot_of(probed, gradients=False)
    losses = [probed.step() for _ in range(3)]
    snapshot = snapshot_of(probed, take=True)
    for _ in range(2):
        start.begin_trial()
        probed.step()
    snapshot.restore()
    losses += [probed.step() for _ in range(3)]
    assert losses == expected


def test_fresh_state_is_not_shared_with_the_snapshot() -> None:
    """Else a second trial would begin where the first one ended."""
    loop = Loop("adam")
    loop.step()
    snapshot = snapshot_of(loop)
    expected = loop.state()
    for _ in range(2):
        snapshot.restore(fresh=True)
        assert same(expected, loop.state())
        loop.step()
    snapshot.restore(fresh=True)
    assert same(expected, loop.state())


def test_taken_state_can_be_restored_afresh_and_then_for_good() -> None:
    loop = Loop("adam")
    loop.step()
    expected, identities = loop.state(), held(loop)
    snapshot = snapshot_of(loop, take=True)
    snapshot.restore(fresh=True)
    loop.step()
    snapshot.restore()
    assert same(expected, loop.state())
    assert held(loop) == identities


def test_buffers_only_brings_buffers_gradients_and_streams_back_and_touches_no_state() -> None:
    loop = Loop("adam")
    loop.step()
    expected, identities = loop.state(), held(loop)
    snapshot = snapshot_of(loop, take=True, buffers_only=True)
    for size in (1, 4, 64):
        loop.model(torch.randn(size + 1, 4)).sum().backward()
    assert not same(expected, loop.state())
    snapshot.restore()
    assert same(expected, loop.state())
    assert held(loop) == identities


@pytest.mark.parametrize("take", [False, True])
@pytest.mark.parametrize(
    "make",
    [lambda p: torch.optim.SparseAdam(p, lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1)],
    ids=["SparseAdam", "SGD"],
)
def test_sparse_gradients(make: Callable[[Any], torch.optim.Optimizer], take: bool) -> None:
    torch.manual_seed(0)
    table = nn.Embedding(20, 3, sparse=True)
    optimizer = make(list(table.parameters()))

    def step(words: list[int]) -> None:
        optimizer.zero_grad()
        table(torch.tensor(words)).pow(2).sum().backward()
        optimizer.step()

    start = Snapshot([table], [optimizer], gradients=False)
    step([1, 2, 2, 5])
    grad = table.weight.grad
    assert grad is not None
    values = grad.coalesce().to_dense().clone()
    weight = table.weight.detach().clone()
    snapshot = Snapshot([table], [optimizer], take=take)
    for _ in range(2):
        start.begin_trial()
        step([7, 8])
    snapshot.restore()
    assert table.weight.grad is grad
    assert grad.is_sparse
    assert torch.equal(grad.coalesce().to_dense(), values)
    assert torch.equal(table.weight, weight)
    step([1, 3])
    assert all(torch.isfinite(p).all() for p in table.parameters())


def test_gradients_that_did_not_exist_do_not_exist_afterwards() -> None:
    loop = Loop("sgd")
    snapshot = snapshot_of(loop, take=True)
    loop.step()
    snapshot.restore()
    assert [p.grad for p in loop.model.parameters()] == [None] * 6


def test_views_that_the_loop_holds_of_parameters_and_gradients_stay_views() -> None:
    loop = Loop("sgd")
    loop.step()
    weight = next(loop.model.parameters())
    assert weight.grad is not None
    view, along = weight.detach()[0], weight.grad[0]
    expected, expected_along = view.clone(), along.clone()
    snapshot = snapshot_of(loop, take=True)
    start = snapshot_of(loop, gradients=False)
    start.begin_trial()
    loop.step()
    snapshot.restore()
    assert torch.equal(view, expected)
    assert torch.equal(along, expected_along)
    with torch.no_grad():
        weight[0].fill_(7)
    assert view.unique().tolist() == [7.0]


def test_complex_low_precision_and_frozen_parameters() -> None:
    torch.manual_seed(0)
    parameters = [
        torch.randn(3, dtype=torch.complex64, requires_grad=True),
        torch.randn(3, dtype=torch.bfloat16, requires_grad=True),
        torch.randn(3, dtype=torch.float64, requires_grad=True),
        torch.tensor(1.5, requires_grad=True),
    ]
    frozen = nn.Linear(2, 2).requires_grad_(False)
    optimizer = torch.optim.SGD([*parameters, *frozen.parameters()], lr=0.1, momentum=0.9)

    def step() -> None:
        sum((p.abs().float() ** 2).sum() for p in parameters).backward()  # type: ignore[union-attr]
        optimizer.step()

    step()
    before = [p.detach().clone() for p in parameters]
    grads = [p.grad for p in parameters]
    snapshot = Snapshot([frozen], [optimizer], take=True)
    step()
    snapshot.restore()
    assert all(torch.equal(p, old) for p, old in zip(parameters, before, strict=True))
    assert all(p.grad is old for p, old in zip(parameters, grads, strict=True))
    assert all(p.grad is None for p in frozen.parameters())


def test_a_learning_rate_that_is_a_tensor_stays_the_same_tensor() -> None:
    weight = torch.ones(3, requires_grad=True)
    rate = torch.tensor(0.1)
    optimizer = torch.optim.Adam([weight], lr=rate)
    snapshot = Snapshot([], [optimizer])
    optimizer.param_groups[0]["lr"].fill_(5.0)
    snapshot.restore()
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(0.1)


def test_groups_added_in_a_trial_do_not_break_the_way_back() -> None:
    loop = Loop("sgd")
    loop.step()
    expected = loop.state()
    snapshot = snapshot_of(loop)
    loop.optimizer.add_param_group({"params": [torch.ones(2, requires_grad=True)]})
    snapshot.restore()
    now = loop.state()
    assert all(same(expected[k], now[k]) for k in expected if k not in ("lr", "optimizer"))
