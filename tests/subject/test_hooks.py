"""Hooks and wrappers come off without a trace, whenever they are taken off."""

# mypy: disable-error-code="no-untyped-call, no-any-return"
from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
import torch
from torch import nn
from torch.nn.modules import module as module_hooks
from torch.optim import optimizer as optimizer_hooks
from torch.optim.lr_scheduler import LRScheduler
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, TensorDataset

from tests.observe.watching import examine, modes, watching

OWNERS: list[Any] = [
    torch,
    torch.Tensor,
    torch.autograd,
    torch.func,
    torch.amp,
    torch.amp.GradScaler,
    torch.optim.Optimizer,
    torch.optim.SGD,
    torch.optim.LBFGS,
    LRScheduler,
    nn.Module,
    nn.Linear,
    nn.utils,
    DataLoader,
    torch.nn.functional,
]
X = torch.randn(24, 5, generator=torch.Generator().manual_seed(1))
Y = (X.sum(1) > 0).long()


def attributes() -> dict[tuple[int, str], Any]:
    return {(id(owner), name): value for owner in OWNERS for name, value in vars(owner).items()}


def hooks_of_torch() -> list[list[Any]]:
    """Every global hook dictionary."""
    held = [(module_hooks, name) for name in vars(module_hooks) if name.startswith("_global_")]
    held += [(optimizer_hooks, name) for name in vars(optimizer_hooks) if name.startswith("_global_")]
    return [list(d) for owner, name in sorted(held, key=lambda h: h[1]) if isinstance(d := getattr(owner, name), dict)]


class State:
    """Everything of torch's that an examination may touch."""

    def __init__(self) -> None:
        self.attributes = attributes()
        self.hooks = hooks_of_torch()
        self.modes = modes()

    def assert_unchanged(self) -> None:
        now = attributes()
        assert now.keys() == self.attributes.keys()
        assert [key[1] for key, value in now.items() if value is not self.attributes[key]] == []
        assert hooks_of_torch() == self.hooks
        assert modes() == self.modes


def train(steps: int = 4, after: Callable[[int], None] = lambda _: None) -> list[float]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.1), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    losses = []
    for step, (x, y) in enumerate(DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True)):
        if step == steps:
            break
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        after(step)
    return losses


@pytest.fixture(autouse=True)
def imported() -> None:
    """What torch imports late is there before we look."""
    train(1)


def test_installing_changes_something() -> None:
    """Else the tests below could not fail."""
    state = State()
    assert len(state.attributes) > 1000
    assert len(state.hooks) >= 7


def test_after_removal_everything_is_the_very_object_that_it_was(tmp_path: Path) -> None:
    state = State()
    with watching(tmp_path) as found:
        assert any(value is not state.attributes.get(key) for key, value in attributes().items())
        assert hooks_of_torch() != state.hooks
        train()
        found.installed.remove()
        state.modes = modes()  # whether the mode is still there is asked elsewhere
        state.assert_unchanged()
    assert len(found.losses) == 4


def test_removed_twice_is_removed_once(tmp_path: Path) -> None:
    state = State()
    with watching(tmp_path) as found:
        found.installed.remove()
        torch.Tensor.backward, original = (lambda *_: None), torch.Tensor.backward  # type: ignore[method-assign]
        found.installed.remove()
        put = torch.Tensor.backward
        torch.Tensor.backward = original  # type: ignore[method-assign]
        assert put is not original
    state.assert_unchanged()


def test_no_mode_is_left_on_the_stack(tmp_path: Path) -> None:
    with watching(tmp_path) as found:
        train()
        found.installed.remove()
        assert modes() == []


@pytest.mark.parametrize(
    "border", ["within a step's hook", "within a module's hook", "within a closure", "after a step"]
)
def test_removal_at_any_border(border: str, tmp_path: Path) -> None:
    state = State()
    expected = train(6)
    with watching(tmp_path) as found:
        handles: list[Any] = []

        def take_off(*_: Any) -> None:
            found.watch.observing = found.watch.deep = found.watch.forward.active = False
            found.installed.remove()

        def once(step: int) -> None:
            if step != 1:
                return
            if border == "within a step's hook":
                handles.append(optimizer_hooks.register_optimizer_step_post_hook(take_off))
            elif border == "within a module's hook":
                handles.append(module_hooks.register_module_forward_hook(take_off))
            else:
                take_off()

        if border == "within a closure":
            model = nn.Linear(5, 2)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

            def closure() -> torch.Tensor:
                take_off()
                loss = model(X).sum()
                loss.backward()
                return loss

            optimizer.step(closure)
        assert train(6, once) == expected
        for each in handles:
            each.remove()
    state.assert_unchanged()


def test_removal_from_within_the_report_of_a_step(tmp_path: Path) -> None:
    """A second process finds at its first step that another one is examined."""
    state = State()
    with watching(tmp_path) as found:
        told: list[tuple[Any, ...]] = []

        def report(*args: Any) -> None:
            told.append(args)
            if args[0] == "observe" and args[1] == 2:
                found.watch.observing = found.watch.deep = found.watch.forward.active = False
                found.installed.remove()

        found.conductor.clock.report = report
        losses = train(6)
        assert told[-1][1] == 2
    assert losses == train(6)
    assert found.losses == losses[:2]
    state.assert_unchanged()


def test_one_examination_after_the_other(tmp_path: Path) -> None:
    state = State()
    expected = train()
    for _ in range(3):
        assert examine(tmp_path, train).losses == expected
        state.assert_unchanged()


def test_one_examination_within_the_other(tmp_path: Path) -> None:
    state = State()
    with watching(tmp_path) as outer:
        with watching(tmp_path) as inner:
            losses = train()
        assert inner.losses == losses
    assert outer.losses == losses
    state.assert_unchanged()


def test_an_exception_out_of_the_loop_leaves_nothing(tmp_path: Path) -> None:
    state = State()

    def broken(step: int) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examine(tmp_path, lambda: train(4, broken))
    state.assert_unchanged()


def test_functions_that_the_user_took_before_removal_work_after_it(tmp_path: Path) -> None:
    with watching(tmp_path):
        backward, grad, made = torch.autograd.backward, torch.autograd.grad, torch.func.grad(lambda w: w.pow(2).sum())
        scaler = torch.amp.GradScaler("cpu")
    weight = torch.ones(3, requires_grad=True)
    backward(weight.sum())
    assert torch.equal(weight.grad, torch.ones(3))  # type: ignore[arg-type]
    assert torch.equal(grad(weight.sum(), [weight])[0], torch.ones(3))
    assert torch.equal(made(torch.ones(3)), torch.full((3,), 2.0))
    assert float(scaler.scale(torch.ones(()))) == scaler.get_scale()


WEIGHT = torch.ones(3, requires_grad=True)
BY_KEYWORD: dict[str, Callable[[], Any]] = {
    "func.grad": lambda: torch.func.grad(func=lambda w: w.pow(2).sum(), argnums=0, has_aux=False)(torch.ones(3)),
    "func.grad_and_value": lambda: torch.func.grad_and_value(func=lambda w: w.pow(2).sum())(torch.ones(3)),
    "func.grad, two": lambda: torch.func.grad(lambda a, b: (a * b).sum(), (0, 1))(torch.ones(3), torch.ones(3)),
    "autograd.grad": lambda: torch.autograd.grad(outputs=WEIGHT.sum(), inputs=WEIGHT, grad_outputs=None),
    "autograd.backward": lambda: torch.autograd.backward(tensors=WEIGHT.sum(), inputs=[WEIGHT]),
    "backward": lambda: WEIGHT.exp().backward(gradient=torch.ones(3), inputs=[WEIGHT]),
    "load_state_dict": lambda: len(nn.Linear(2, 2).load_state_dict(state_dict={}, strict=False).missing_keys),
    "clip_grad_norm_": lambda: nn.utils.clip_grad_norm_(parameters=[WEIGHT], max_norm=1.0, norm_type=2.0),
    "zero_grad": lambda: torch.optim.SGD(params=[WEIGHT], lr=0.1).zero_grad(set_to_none=True),
    "scale": lambda: torch.amp.GradScaler(device="cpu").scale(outputs=[WEIGHT.detach()]),
}


@pytest.mark.parametrize("call", BY_KEYWORD)
def test_wrappers_take_the_keywords_that_torch_takes(call: str, tmp_path: Path) -> None:
    watched: list[str] = []
    WEIGHT.grad = None
    examine(tmp_path, lambda: watched.append(str(BY_KEYWORD[call]())))
    WEIGHT.grad = None
    assert watched == [str(BY_KEYWORD[call]())]


def test_nothing_of_the_loop_lives_on(tmp_path: Path) -> None:
    alive: list[ref[Any]] = []

    def loop() -> None:
        model = nn.Linear(5, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = DataLoader(TensorDataset(X, Y), batch_size=4)
        for x, y in loader:
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        alive.extend(map(ref, (model, optimizer, loader, model.weight)))

    found = examine(tmp_path, loop)
    del found.watch, found.conductor, found.installed
    gc.collect()
    assert [each() for each in alive] == [None] * 4


class Calls(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(getattr(func, "__name__", str(func)))
        return func(*args, **(kwargs or {}))


def test_a_mode_of_the_user_s_around_the_loop_sees_the_user_s_calls_only(tmp_path: Path) -> None:
    def counted() -> list[str]:
        with Calls() as calls:
            train()
        return calls.names

    watched: list[str] = []
    examine(tmp_path, lambda: watched.extend(counted()))
    bare = counted()
    assert [name for name in watched if watched.count(name) > bare.count(name)] == []
    assert watched == bare


def test_the_user_s_own_hooks_are_called_as_often_as_before(tmp_path: Path) -> None:
    def counted() -> list[str]:
        calls: list[str] = []
        first, last = nn.Linear(5, 8), nn.Linear(8, 2)
        model = nn.Sequential(first, last)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model.register_forward_pre_hook(lambda *_: calls.append("pre"))
        first.register_forward_hook(lambda *_: calls.append("hook"))
        model.register_full_backward_hook(lambda *_: calls.append("backward"))
        last.weight.register_hook(lambda _: calls.append("tensor"))
        last.bias.register_post_accumulate_grad_hook(lambda _: calls.append("accumulated"))
        optimizer.register_step_pre_hook(lambda *_: calls.append("before step"))
        optimizer.register_step_post_hook(lambda *_: calls.append("after step"))
        for _ in range(3):
            nn.functional.cross_entropy(model(X), Y).backward()
            optimizer.step()
            optimizer.zero_grad()
        return calls

    watched: list[str] = []
    examine(tmp_path, lambda: watched.extend(counted()))
    assert watched == counted()
    assert len(watched) == 3 * 7


def test_a_thread_that_trains_while_hooks_come_off(tmp_path: Path) -> None:
    state = State()
    results: list[list[float]] = []
    middle, off = threading.Event(), threading.Event()

    def hold(step: int) -> None:
        if step == 2:
            middle.set()
            assert off.wait(10)

    def work() -> None:
        results.append(train(5, hold))

    with watching(tmp_path) as found:
        thread = threading.Thread(target=work)
        thread.start()
        assert middle.wait(10)
        found.watch.observing = found.watch.deep = found.watch.forward.active = False
        found.installed.remove()
        off.set()
        thread.join()
    assert results == [train(5)]
    assert found.losses == results[0][:3]
    state.assert_unchanged()
