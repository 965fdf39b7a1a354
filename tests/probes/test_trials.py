# mypy: disable-error-code="no-untyped-call, return-value, arg-type"
"""Trials of every setting, inside of loops of every kind, leave the user's training as if they had never been."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dnndoctor.probes import agenda
from dnndoctor.probes.experiment import Experiment, Plan, Planned, Setting, Trial
from dnndoctor.probes.experiments import Entry
from dnndoctor.probes.loop import Loop
from tests.observe.watching import Examination, watching
from tests.probes.test_snapshot import OPTIMIZERS, same

WATCHED = 6  # steps; the trials lie behind the last of them, and the loop goes on from there


def zeros(call: Any) -> Any:
    args, kwargs = call
    return tuple(torch.zeros_like(each) for each in args), kwargs


def shifted(loop: Loop) -> None:
    for parameter in loop.parameters():
        parameter.add_(1.0)


def adam(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups)


SETTINGS = {
    "as it is": Setting(),
    "rate": Setting(rate=0.5),
    "diverging": Setting(rate=1e30),
    "one batch": Setting(batches=(1,)),
    "blanked": Setting(inputs=zeros),
    "evaluating": Setting(evaluating=True),
    "other rule": Setting(rate=0.01, update=adam),
    "dropout": Setting(dropout=0.9),
    "seed": Setting(seed=7),
    "start": Setting(start=shifted),
    "everything": Setting(0.1, (2, 0), zeros, True, adam, 0.1, 3, shifted),
}


def experiment_of(setting: Setting, steps: int = 4, raises: str = "") -> type[Planned]:
    """Two trials with this setting; ``raises``: the method that fails in the second one."""

    class Of(Planned):
        name = "noise"
        losses: ClassVar[list[list[float]]]

        def refusal(self, loop: Loop) -> str | None:
            return loop.no_trials()

        def plan(self, loop: Loop, steps_: int) -> Plan:
            assert steps_ > 0
            for _ in range(2):
                self.losses.append((yield Trial(setting, steps)))
            if raises == "plan":
                raise ValueError("a bug")

        def after_backward(self, parameters: Any) -> None:
            assert all(p.grad is not None for p in parameters)
            if raises == "after_backward" and self.losses:
                raise ValueError("a bug")

        def facts(self, paired: bool) -> dict[str, Any]:
            return {"losses": self.losses, "paired": paired}

    Of.losses = []
    return Of


class Script:
    """A training loop with a state of every kind, over a loader."""

    def __init__(self, optimizer: str = "sgd", closure: bool = False) -> None:
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        x = torch.randn(80, 4)
        data = TensorDataset(x, x[:, :1] * 2 + 1)
        self.loader = DataLoader(data, batch_size=8, shuffle=True)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, gamma=0.9)
        self.closure = closure

    def steps(self) -> Iterator[float]:
        while True:
            for x, y in self.loader:
                loss = self.step(x, y)
                self.scheduler.step()
                yield float(loss.detach())

    def step(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        def closure() -> torch.Tensor:
            self.optimizer.zero_grad()
            loss = nn.functional.mse_loss(self.model(x), y)
            loss.backward()
            return loss

        if self.closure:
            return self.optimizer.step(closure)
        loss = closure()
        self.optimizer.step()
        return loss

    def state(self) -> dict[str, Any]:
        optimizer = [
            {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in state.items()}
            for state in self.optimizer.state.values()
        ]
        return {
            **{k: v.clone() for k, v in self.model.state_dict().items()},
            "grads": [None if p.grad is None else p.grad.clone() for p in self.model.parameters()],
            "optimizer": optimizer,
            "groups": [{k: v for k, v in g.items() if k != "params"} for g in self.optimizer.param_groups],
            "scheduler": dict(self.scheduler.state_dict()),
            "streams": [torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()],  # type: ignore[index]
            "modules": [(m.training, len(m._forward_pre_hooks), getattr(m, "p", None)) for m in self.model.modules()],
            "wrapped": nn.Module.__call__.__qualname__,
        }


def entry(make: Callable[[], Experiment], name: str = "noise") -> Entry:
    return Entry(name, make, share=0.5, most=20.0, fewest=1)


def probed(make: Callable[[], Script], path: Path) -> tuple[Examination, list[dict[str, Any]]]:
    """The states after each step of the user's own, with trials behind the sixth."""
    states: list[dict[str, Any]] = []
    with watching(path, steps=WATCHED, probes=True) as examination:
        conductor, script = examination.conductor, make()
        for _ in script.steps():
            if not conductor.probing:
                states.append(script.state())
            if len(states) == WATCHED:
                break
    return examination, states


def bare(script: Script) -> list[dict[str, Any]]:
    steps = script.steps()
    return [script.state() for _ in range(WATCHED) if next(steps) is not None]


@pytest.mark.parametrize("setting", SETTINGS)
def test_nothing_is_left_of_a_trial(setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda, "EXPERIMENTS", (entry(experiment_of(SETTINGS[setting])),))
    found, states = probed(Script, tmp_path)
    expected = bare(Script())
    assert len(states) >= WATCHED
    for number, (one, two) in enumerate(zip(states, expected, strict=True)):
        assert same(one, two), f"step {number}"
    [row] = found.rows["probe"][:1]
    assert len(row["facts"]["losses"]) == 2
    assert row["facts"]["losses"][0] == row["facts"]["losses"][1], "both trials begin from the same state"


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad"])
@pytest.mark.parametrize("closure", [False, True])
def test_nothing_is_left_in_any_optimizer(
    optimizer: str, closure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = tuple(entry(experiment_of(SETTINGS[each])) for each in ("rate", "other rule", "everything"))
    monkeypatch.setattr(agenda, "EXPERIMENTS", every)
    _, states = probed(lambda: Script(optimizer, closure), tmp_path)
    for one, two in zip(states, bare(Script(optimizer, closure)), strict=True):
        assert same(one, two)


@pytest.mark.parametrize("raises", ["plan", "after_backward"])
def test_an_experiment_that_raises_says_so_and_leaves_nothing(
    raises: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = experiment_of(SETTINGS["everything"], raises=raises)
    whole = type("Whole", (experiment_of(Setting()),), {"name": "width"})
    monkeypatch.setattr(agenda, "EXPERIMENTS", (entry(broken), entry(whole, "width")))
    found, states = probed(Script, tmp_path)
    for one, two in zip(states, bare(Script()), strict=True):
        assert same(one, two)
    facts = {row["name"]: row["facts"] for row in found.rows["probe"]}
    assert "ValueError: a bug" in facts["noise"]["missing"]
    assert len(facts["width"]["losses"][0]) == 4, "the one after it is made"


def losses_of(found: Examination) -> list[list[float]]:
    [facts] = [row["facts"] for row in found.rows["probe"] if row["name"] == "noise"]
    return facts["losses"]  # type: ignore[no-any-return]


def trials(path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str, setting: Setting) -> list[float]:
    """The losses of the first of two trials."""
    monkeypatch.setattr(agenda, "EXPERIMENTS", (entry(experiment_of(setting, steps=6)),))
    found, _ = probed(lambda: Script(optimizer), path)
    return losses_of(found)[0]


def nesterov(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, momentum=0.9, nesterov=True)


def test_another_rule_is_that_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adagrad with Nesterov momentum in its place gives what a script with Nesterov momentum gives."""
    instead = trials(tmp_path, monkeypatch, "adagrad", Setting(rate=0.01, update=nesterov))
    itself = trials(tmp_path, monkeypatch, "sgd", Setting(rate=0.01))
    assert instead == itself
    assert len(set(instead)) == 6


def test_settings_are_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an update one batch in evaluation mode has one loss, and a blanked model cannot tell it from another."""
    still = trials(tmp_path, monkeypatch, "sgd", Setting(rate=0.0, batches=(1,), evaluating=True))
    assert len(set(still)) == 1
    several = trials(tmp_path, monkeypatch, "sgd", Setting(rate=0.0, batches=(1, 2), evaluating=True))
    assert still[0] == several[0]
    assert len(set(several)) == 2
    dropped = trials(tmp_path, monkeypatch, "sgd", Setting(rate=0.0, batches=(1,)))
    assert len(set(dropped)) == 6, "dropout is active"
    undropped = trials(tmp_path, monkeypatch, "sgd", Setting(rate=0.0, batches=(1,), dropout=0.0))
    assert len(set(undropped)) == 1
    assert trials(tmp_path, monkeypatch, "sgd", Setting(seed=1)) != trials(
        tmp_path, monkeypatch, "sgd", Setting(seed=2)
    )
    blank = trials(tmp_path, monkeypatch, "sgd", Setting(rate=0.0, batches=(1,), evaluating=True, inputs=zeros))
    assert blank[0] != still[0]


def test_what_has_no_time_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costly = Entry("noise", experiment_of(Setting()), share=0.5, most=1e-6, fewest=100)
    monkeypatch.setattr(agenda, "EXPERIMENTS", (costly,))
    found, _ = probed(Script, tmp_path)
    assert "has no room" in found.rows.facts("probe", "name", "noise")["missing"]  # type: ignore[index]
