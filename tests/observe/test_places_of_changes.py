"""What is noted of the user's source so that a change can stand at the right place and under the right name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dnndoctor import measurements as m
from dnndoctor.recording.assemble import assemble
from tests.observe.watching import examine


def measured(path: Path, loop: Callable[[], Any], kind: type) -> Any:
    return assemble(examine(path, loop).rows)[kind]


def step_once(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()


class Trainer:
    def __init__(self) -> None:
        self.model = nn.Linear(4, 2)
        self.rule = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def fit(self) -> None:
        for _ in range(3):
            self.rule.zero_grad()
            self.model(torch.randn(8, 4)).square().mean().backward()
            self.rule.step()


def in_a_function() -> None:
    model = nn.Linear(4, 2)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        step_once(model, sgd)


def in_a_list() -> None:
    model = nn.Linear(4, 2)
    several = [torch.optim.SGD(model.parameters(), lr=0.1)]
    for _ in range(3):
        model(torch.randn(8, 4)).square().mean().backward()
        several[0].step()


@pytest.mark.parametrize(
    ("loop", "name"), [(in_a_function, "optimizer"), (lambda: Trainer().fit(), "self.rule"), (in_a_list, "")]
)
def test_an_optimizer_is_called_what_the_line_that_steps_it_calls_it(
    loop: Callable[[], None], name: str, tmp_path: Path
) -> None:
    assert measured(tmp_path, loop, m.Clearings).optimizers[0].variable == name


def test_the_lines_that_lead_to_the_backward_pass_are_no_part_of_an_evaluation(tmp_path: Path) -> None:
    clearings = measured(tmp_path, in_a_function, m.Clearings)
    inner, outer = clearings.optimizers[0].callers[:2]
    assert inner == clearings.optimizers[0].backward_location
    assert inner.line < step_once.__code__.co_firstlineno + 4 < outer.line
    assert {inner, outer, clearings.optimizers[0].step_location} <= set(clearings.training)


def carried_state() -> None:
    cell = nn.LSTM(4, 3)
    sgd = torch.optim.SGD(cell.parameters(), lr=0.01)
    state: Any = None
    with suppress(RuntimeError):  # the next backward pass meets weights that the step has changed
        for _ in range(6):
            out, state = cell(torch.randn(2, 5, 4), state)
            sgd.zero_grad()
            out.square().mean().backward(retain_graph=True)
            sgd.step()


def test_a_state_s_place_among_the_arguments_and_its_form_are_noted(tmp_path: Path) -> None:
    graphs = measured(tmp_path, carried_state, m.KeptGraphs)
    assert (graphs.argument, graphs.form) == (1, "tuple")


def drawn(draw: Callable[[nn.Linear], Any]) -> Callable[[], None]:
    def loop() -> None:
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
        draw(model[0])  # type: ignore[arg-type]
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            step_once(model, sgd)

    return loop


@pytest.mark.parametrize(
    ("draw", "with_vectors"),
    [
        (lambda layer: nn.init.zeros_(layer.weight), False),
        (lambda layer: nn.init.constant_(layer.weight.data, 0.1), False),
        (lambda layer: [nn.init.normal_(each) for each in layer.parameters()], True),
    ],
)
def test_the_line_that_draws_a_weight_is_noted(draw: Any, with_vectors: bool, tmp_path: Path) -> None:
    weights = measured(tmp_path, drawn(draw), m.Weights)
    first, second = weights.named("0.weight"), weights.named("1.weight")
    assert first.initialized_at.line == draw.__code__.co_firstlineno
    assert first.with_vectors is with_vectors
    assert second.initialized_at is None  # what a layer does as it is built is no line of the user's


class Rebuilt(nn.Module):
    def __init__(self, build: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.build = build
        self.inner = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.build()(self.inner(x))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("build", "arguments"),
    [
        (lambda: nn.Linear(4, 2), "4, 2"),
        (lambda: nn.Linear(4, 2, bias=False), "4, 2, bias=False"),
        (lambda: nn.LayerNorm(4), "4"),
        (lambda: nn.Sequential(nn.Linear(4, 2)), ""),
    ],
)
def test_how_a_layer_in_a_forward_pass_was_built_is_noted(
    build: Callable[[], nn.Module], arguments: str, tmp_path: Path
) -> None:
    def loop() -> None:
        model = Rebuilt(build)
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            step_once(model, sgd)

    [built] = measured(tmp_path, loop, m.Construction).built_in_forward
    assert built.arguments == arguments


@pytest.mark.parametrize("side", [0, 1])
def test_the_side_of_the_prediction_is_noted(side: int, tmp_path: Path) -> None:
    def loop() -> None:
        model = nn.Linear(4, 1)
        sgd = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            out, target = model(torch.randn(8, 4)), torch.randn(8)
            loss = ((target - out) if side else (out - target)).square().mean()
            sgd.zero_grad()
            loss.backward()
            sgd.step()

    [difference] = measured(tmp_path, loop, m.LossInputs).differences
    assert difference.side == side


@pytest.mark.parametrize("in_model", [True, False])
def test_whether_the_model_or_the_loop_takes_the_softmax_is_noted(in_model: bool, tmp_path: Path) -> None:
    def loop() -> None:
        model: nn.Module = nn.Sequential(nn.Linear(4, 3), *([nn.Softmax(dim=1)] if in_model else []))
        sgd = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            out = model(torch.randn(8, 4))
            loss: Any = nn.functional.cross_entropy(
                out if in_model else out.softmax(1), torch.zeros(8, dtype=torch.long)
            )
            sgd.zero_grad()
            torch.autograd.backward(loss)
            sgd.step()

    chain = measured(tmp_path, loop, m.Losses).main.chain
    assert [each.in_model for each in chain if each.name == "softmax"] == [in_model]
