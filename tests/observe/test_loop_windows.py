"""Windows on the order of a loop's calls, on what lives on between steps, and on seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.observe.watching import examine

Facts = dict[str, Any]
STEPS = 14


def seen(path: Path, window: str, loop: Callable[[], Any]) -> Facts | None:
    return examine(path, loop).rows.facts("window", "name", window)


def trained(step: Callable[[nn.Module, Any, torch.Tensor], Any]) -> Callable[[], Any]:
    """A loop around what one step does."""

    def loop() -> None:
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(STEPS):
            step(model, optimizer, torch.randn(8, 4))

    return loop


def clip(model: nn.Module, limit: float = 1.0) -> None:
    nn.utils.clip_grad_norm_(model.parameters(), limit)


def before_backward(model: nn.Module, optimizer: Any, x: torch.Tensor) -> None:
    optimizer.zero_grad()
    clip(model)
    model(x).square().mean().backward()
    optimizer.step()


def then_cleared(model: nn.Module, optimizer: Any, x: torch.Tensor) -> None:
    clip(model)
    model.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()


def in_order(model: nn.Module, optimizer: Any, x: torch.Tensor) -> None:
    optimizer.zero_grad()
    model(x).square().mean().backward()
    clip(model)
    optimizer.step()


def each_pass(model: nn.Module, optimizer: Any, x: torch.Tensor) -> None:
    for part in torch.chunk(x, 2):
        model(part).square().mean().backward()
        clip(model)
    optimizer.step()
    optimizer.zero_grad()


def only_read(model: nn.Module, optimizer: Any, x: torch.Tensor) -> None:
    clip(model, float("inf"))
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize(
    ("step", "in_vain"), [(before_backward, STEPS), (then_cleared, STEPS), (in_order, 0), (each_pass, 0)]
)
def test_clipping_before_backward_is_in_vain(step: Any, in_vain: int, tmp_path: Path) -> None:
    found = seen(tmp_path, "clip-order", trained(step))
    assert found is not None
    assert (found["steps"], found["in_vain"]) == (STEPS, in_vain)
    assert bool(found["location"]) is bool(in_vain)


def test_reading_the_norm_is_no_clipping(tmp_path: Path) -> None:
    assert seen(tmp_path, "clip-order", trained(only_read)) is None


class Adding(nn.Module):
    """A cell whose graph outlives an update of its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 8)

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = state + self.layer(x)
        return out


def recurrent(keep: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], None]:
    def loop() -> None:
        cell = Adding()
        optimizer = torch.optim.SGD(cell.parameters(), lr=0.01)
        state = torch.zeros(8, 8)
        for _ in range(STEPS):
            state = cell(torch.randn(8, 4), state)
            optimizer.zero_grad()
            state.square().mean().backward(retain_graph=True)
            optimizer.step()
            state = keep(state)

    return loop


def test_a_state_that_keeps_its_graph(tmp_path: Path) -> None:
    found = seen(tmp_path, "kept-graphs", recurrent(lambda state: state))
    assert found is not None
    nodes, back = [n for _, n, _ in found["walked"]], [b for _, _, b in found["walked"]]
    assert nodes == sorted(nodes)
    assert nodes[-1] > 3 * nodes[0]
    assert back == [step for step, _, _ in found["walked"]]
    assert found["carried"] is not None


def test_a_state_that_is_detached(tmp_path: Path) -> None:
    found = seen(tmp_path, "kept-graphs", recurrent(lambda state: state.detach()))
    assert found is not None
    assert len({n for _, n, _ in found["walked"]}) == 1
    assert {b for _, _, b in found["walked"]} == {0}
    assert found["carried"] is None


def test_a_sum_over_inner_steps_that_is_averaged_for_backward(tmp_path: Path) -> None:
    def loop() -> None:
        shared, own = nn.Linear(4, 2), nn.Linear(2, 2)
        inner = torch.optim.SGD(own.parameters(), lr=0.0)
        for _ in range(3):
            total: Any = torch.zeros(())
            for _ in range(6):
                loss: Any = own(shared(torch.randn(8, 4)).detach()).square().mean()
                inner.zero_grad()
                loss.backward()
                inner.step()
                total = total + shared(torch.randn(8, 4)).square().mean()
            (total / 6).backward()

    found = seen(tmp_path, "kept-graphs", loop)
    assert found is not None
    assert found["sums"] == []


def summing(add: Callable[[Any, torch.Tensor], Any], backward_on_sum: bool = False) -> Callable[[], None]:
    def loop() -> None:
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        total: Any = 0.0
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss: Any = model(torch.randn(8, 4)).square().mean()
            total = add(total, loss)
            (total if backward_on_sum else loss).backward(retain_graph=backward_on_sum)
            optimizer.step()

    return loop


def test_a_sum_of_losses_keeps_their_graphs(tmp_path: Path) -> None:
    def in_place(total: Any, loss: torch.Tensor) -> Any:
        total += loss
        return total

    for add in (in_place, lambda total, loss: total + loss, lambda total, loss: loss + total):
        found = seen(tmp_path, "kept-graphs", summing(add))
        assert found is not None
        assert [each["steps"] for each in found["sums"]] == [STEPS - 1]


def test_sums_of_numbers_keep_nothing(tmp_path: Path) -> None:
    for add in (lambda total, loss: total + loss.item(), lambda total, loss: total + loss.detach()):
        found = seen(tmp_path, "kept-graphs", summing(add))
        assert found is not None
        assert found["sums"] == []


def test_a_sum_that_backward_is_called_on_is_a_growing_graph(tmp_path: Path) -> None:
    found = seen(tmp_path, "kept-graphs", summing(lambda total, loss: total + loss, backward_on_sum=True))
    assert found is not None
    assert found["sums"] == []
    assert found["walked"][-1][1] > 2 * found["walked"][0][1]


def bootstrapped(guard: Callable[[], Any]) -> Callable[[], None]:
    def loop() -> None:
        model, target = nn.Linear(4, 2), nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(STEPS):
            x = torch.randn(8, 4)
            with guard():
                wanted = target(x)
            optimizer.zero_grad()
            loss: Any = functional.mse_loss(model(x), wanted)
            loss.backward()
            optimizer.step()

    return loop


def test_gradients_pile_up_in_a_target_that_is_not_detached(tmp_path: Path) -> None:
    found = seen(tmp_path, "piled-gradients", bootstrapped(torch.enable_grad))
    assert found is not None
    [one] = found["models"]
    norms = [norm for _, norm in one["norms"]]
    assert one["copy_of"] == "Linear"
    assert norms[-1] > 2 * norms[0]
    assert one["call"] is not None


def test_none_in_one_without_gradients(tmp_path: Path) -> None:
    assert seen(tmp_path, "piled-gradients", bootstrapped(torch.no_grad)) is None


def test_streams_and_their_seeds(tmp_path: Path) -> None:
    def drawing(seed: bool) -> Callable[[], None]:
        def loop() -> None:
            if seed:
                torch.manual_seed(0)
            model = nn.Linear(4, 2)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            for _ in range(3):
                x = torch.from_numpy(np.random.rand(8, 4).astype("float32"))
                optimizer.zero_grad()
                model(x).square().mean().backward()
                optimizer.step()

        return loop

    assert seen(tmp_path, "seeds", drawing(True)) == {"drawn": ["numpy", "torch"], "seeded": ["torch"]}
    assert seen(tmp_path, "seeds", drawing(False)) == {"drawn": ["numpy", "torch"], "seeded": []}


def test_only_the_first_step_says_nothing_of_seeds(tmp_path: Path) -> None:
    def loop() -> None:
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()

    assert seen(tmp_path, "seeds", loop) is None
