"""Where the weights come from: what the window sees of frozen norms, loaded statistics and moving weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.observe.watching import examine


def facts(path: Path, model: nn.Module, *, scale: float = 1.0, prepare: Any = None, steps: int = 6) -> dict[str, Any]:
    """What was noted of a short training of everything in the model that is not frozen."""

    def loop() -> None:
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        for _ in range(steps):
            model.train()
            if prepare is not None:
                prepare(model)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(scale * torch.rand(32, 8)), torch.randint(3, (32,)))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    found = examine(path, loop).rows.facts("window", "name", "pretraining")
    assert found is not None
    return found


def transfer(*, load: bool = True, freeze: int = 2) -> nn.Sequential:
    """A linear layer and a batch norm that know inputs in 0 to 1, the first ``freeze`` layers frozen, and a head."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    other = nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6))
    for _ in range(50):
        other(torch.rand(64, 8))
    if load:
        model[:2].load_state_dict(other.state_dict())
    for parameter in model[:freeze].parameters():
        parameter.requires_grad_(False)
    return model


def loaded_under_watch(path: Path, **options: Any) -> dict[str, Any]:
    """As ``facts``, of a model that loads its weights while it is watched."""
    state = {key: value for key, value in transfer().state_dict().items() if key[0] in "01"}
    waiting = [state]

    def load_once(model: nn.Module) -> None:
        if waiting:
            model[:2].load_state_dict(waiting.pop())  # type: ignore[index]

    return facts(path, transfer(load=False, freeze=options.pop("freeze", 2)), prepare=load_once, **options)


def test_a_frozen_norm_in_training_mode_moves(tmp_path: Path) -> None:
    [found] = facts(tmp_path, transfer())["frozen_norms"]
    assert found["moving"] == ["1"]
    assert found["location"][0].endswith("test_pretraining.py")


def test_a_frozen_norm_in_evaluation_mode_stands_still(tmp_path: Path) -> None:
    assert facts(tmp_path, transfer(), prepare=lambda model: model[1].eval())["frozen_norms"] == []


@pytest.mark.parametrize("freeze", [0, 1])
def test_a_norm_that_is_trained_has_to_move(tmp_path: Path, freeze: int) -> None:
    assert facts(tmp_path, transfer(freeze=freeze))["frozen_norms"] == []


def test_a_frozen_norm_behind_a_layer_that_learns_has_to_follow(tmp_path: Path) -> None:
    model = transfer()
    model[0].requires_grad_(True)
    assert facts(tmp_path, model)["frozen_norms"] == []


def test_a_copy_that_follows_with_delay_is_not_frozen(tmp_path: Path) -> None:
    def follow(model: nn.Module) -> None:
        with torch.no_grad():
            model[1].weight.mul_(1.01)  # type: ignore[index]

    assert facts(tmp_path, transfer(), prepare=follow)["frozen_norms"] == []


def test_inputs_at_another_scale_than_the_loaded_statistics(tmp_path: Path) -> None:
    [sound] = loaded_under_watch(tmp_path)["first_norms"]
    assert 0.5 < sound["ratio"] < 2
    [found] = loaded_under_watch(tmp_path, scale=255.0)["first_norms"]
    assert found["ratio"] == pytest.approx(255**2, rel=0.5)
    assert found["name"] == "1"


def test_statistics_that_nobody_learned_tell_nothing(tmp_path: Path) -> None:
    assert facts(tmp_path, transfer(load=False))["first_norms"] == []

    def load(model: nn.Module) -> None:
        model[0].load_state_dict(nn.Linear(8, 6).state_dict())  # type: ignore[index]
        model[1].load_state_dict({**model[1].state_dict(), "bias": torch.ones(6)})  # type: ignore[index]

    assert facts(tmp_path, transfer(load=False), prepare=load)["first_norms"] == []


def test_loaded_weights_that_are_trained_move(tmp_path: Path) -> None:
    still = loaded_under_watch(tmp_path)
    assert (still["moving"], still["movement"]) == (0, [])
    # Loaded after the optimizer was built and before its first step.
    moving = loaded_under_watch(tmp_path, freeze=0)
    assert moving["moving"] == 1
    shares = [share for _, share in moving["movement"]]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5


def test_the_switch_to_training_mode_still_works(tmp_path: Path) -> None:
    model = transfer()
    facts(tmp_path, model, prepare=lambda one: one.eval())
    assert not any(each.training for each in model.modules())
    assert model.train() is model
    assert all(each.training for each in model.modules())
