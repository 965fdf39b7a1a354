"""Backward passes of one's own against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dnndoctor.observe.custom_functions import CustomFunctions
from dnndoctor.probes import custom_gradients
from dnndoctor.probes.room import Room
from tests.observe.watching import watching

Slope = Callable[[torch.Tensor], torch.Tensor]


def function(forward: Slope, slope: Slope, name: str = "Mine") -> Any:
    def run_forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return forward(x)

    def run_backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad * slope(ctx.saved_tensors[0])

    body = {"forward": staticmethod(run_forward), "backward": staticmethod(run_backward)}
    return type(name, (torch.autograd.Function,), body)


def checked(path: Path, cls: Any) -> dict[str, Any]:
    with watching(path, sound=True) as examination:
        weight = torch.randn(6, 4, requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            cls.apply(weight).sum().backward()
            optimizer.step()
        window = next(w for w in examination.watch.windows.all if isinstance(w, CustomFunctions))
        assert list(window.applied) == [cls]
        before, state = weight.detach().clone(), torch.random.get_rng_state()
        custom_gradients.measure(examination.watch, Room(10.0, 0.01))
        assert torch.equal(before, weight)
        assert torch.equal(state, torch.random.get_rng_state())
    facts = examination.rows.facts("probe", "name", "custom-gradients")
    assert facts is not None
    [found] = facts["functions"]
    assert isinstance(found, dict)
    return found


def test_right_ones_agree(tmp_path: Path) -> None:
    found = checked(tmp_path, function(torch.sin, torch.cos))
    assert (found["wrong"], found["sloped"]) == (0, 24)


def test_a_forgotten_factor(tmp_path: Path) -> None:
    found = checked(tmp_path, function(torch.square, lambda x: x))
    assert found["wrong"] == found["sloped"] == 24
    assert found["ratio"] == pytest.approx(0.5, rel=1e-4)


def test_a_straight_through_estimator_has_no_slope_to_compare_with(tmp_path: Path) -> None:
    found = checked(tmp_path, function(torch.sign, torch.ones_like))
    assert (found["sloped"], found["wrong"]) == (0, 0)


def test_a_surrogate_where_the_function_is_flat(tmp_path: Path) -> None:
    found = checked(tmp_path, function(torch.relu, torch.ones_like))  # lets gradients through where relu is zero
    assert 0 < found["sloped"] < 24
    assert found["wrong"] == 0


def test_a_reversal_hands_its_input_on(tmp_path: Path) -> None:
    found = checked(tmp_path, function(lambda x: x.view_as(x), lambda x: -torch.ones_like(x)))
    assert found["identity"]


@pytest.mark.parametrize(
    "forward", [lambda x: (x.float() * 2).float(), lambda x: torch.mm(x, torch.ones(4, 4, dtype=torch.float32))]
)
def test_what_refuses_float64_says_so(tmp_path: Path, forward: Slope) -> None:
    assert "float64" in checked(tmp_path, function(forward, torch.ones_like))["missing"]
