"""What the experiments find in loops whose answer is known."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dnndoctor.probes import agenda
from dnndoctor.probes.blanked import BlankedInputs, blanked
from dnndoctor.probes.experiments import EXPERIMENTS
from dnndoctor.probes.learning_method import LearningMethods
from dnndoctor.probes.noise import Noise, noise_scale
from dnndoctor.probes.overfit import OverfitOneBatch, contradictions
from dnndoctor.recording.reader import Row
from tests.observe.watching import watching

Make = Callable[[], nn.Module]
STEPS = 8  # that are watched


def data() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(160, 6)
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()


def found(
    experiment: type[Any], make: Make, path: Path, patch: pytest.MonkeyPatch, rate: float = 0.05, **options: Any
) -> Row:
    """The facts of this experiment in a plain loop over the model."""
    [entry] = [each for each in EXPERIMENTS if each.name == experiment.name]
    patch.setattr(agenda, "EXPERIMENTS", (replace(entry, share=0.9, most=300.0, fewest=1),))  # on a busy machine too
    with watching(path, steps=STEPS, probes=True, seconds=400.0) as examination:
        for _ in steps(make(), rate, **options):
            if examination.watch.step == STEPS and not examination.conductor.probing:
                break
    facts = examination.rows.facts("probe", "name", experiment.name)
    assert facts is not None
    return facts


def steps(model: nn.Module, rate: float, size: int = 16, noise: float = 0.0, by_hand: bool = False) -> Iterator[None]:
    x, y = data()
    x = x + noise * torch.randn_like(x)
    loader = DataLoader(TensorDataset(x, y), batch_size=size, shuffle=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    while True:
        batches = ((x[i : i + size], y[i : i + size]) for i in range(0, 160, size)) if by_hand else loader
        for inputs, target in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), target).backward()
            optimizer.step()
            yield


def network(p: float = 0.0) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Dropout(p), nn.Linear(32, 3))


class Deaf(nn.Module):
    """Computes on something else than its input."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()
        self.other = torch.ones(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(self.other.expand(len(x), 6))
        return result


# one batch


def test_a_sound_network_learns_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = found(OverfitOneBatch, network, tmp_path, monkeypatch)
    assert [each["learned"] for each in facts["trials"]] == [True]
    assert facts["trials"][0]["steps"] < 200, "it ends as soon as the batch is learned"
    assert facts["samples"] == 16


def test_a_network_that_does_not_see_its_input_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = found(OverfitOneBatch, Deaf, tmp_path, monkeypatch)
    assert len(facts["trials"]) == 3
    assert min(each["final"] for each in facts["trials"]) > 0.5 * facts["trials"][0]["start"]


def test_where_dropout_hinders_it_is_tried_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = found(OverfitOneBatch, lambda: network(0.95), tmp_path, monkeypatch)
    assert [each["dropout"] for each in facts["trials"]] == [True, True, True, False]
    assert facts["trials"][-1]["learned"]


def test_batches_made_by_hand_cannot_be_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "by hand" in found(OverfitOneBatch, network, tmp_path, monkeypatch, by_hand=True)["missing"]


def test_contradictions_cost_what_they_cost() -> None:
    x = torch.tensor([[1.0], [1.0], [2.0], [3.0]])
    facts = contradictions([x, torch.tensor([0, 1, 0, 0])])
    assert facts == {"samples": 4, "contradicting": 2, "entropy": pytest.approx(np.log(2) / 2)}
    facts = contradictions([x, torch.tensor([0.0, 2.0, 5.0, 5.0])])
    assert facts["variance"] == pytest.approx(0.5)
    assert contradictions([x, torch.tensor([1, 1, 0, 0])])["contradicting"] == 0
    assert contradictions({"x": x, "n": torch.ones(3)}) == {}


# blanked inputs


def test_a_sound_network_needs_its_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = found(BlankedInputs, network, tmp_path, monkeypatch)
    assert facts["change"] > 0.1
    assert facts["blank"] > facts["real"] + 5 * facts["gap_error"]


def test_a_deaf_network_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = found(BlankedInputs, Deaf, tmp_path, monkeypatch)
    assert facts["change"] == 0.0
    assert facts["blank"] == pytest.approx(facts["real"], abs=1e-4)


def test_what_steers_a_model_is_not_blanked() -> None:
    words, lengths, mask = torch.tensor([[3, 4], [5, 0]]), torch.tensor([2, 1]), torch.tensor([[1, 1], [1, 0]])
    (one, two), keywords = blanked(((words, lengths), {"mask": mask}))
    assert not one.any()
    assert two is lengths
    assert keywords["mask"] is mask
    made_inside = torch.ones(2, 3, requires_grad=True)
    assert blanked(((made_inside, words), {}))[0][1] is words
    (ids,), rest = blanked(((words,), {"labels": words + 1}), targets_inside=True)
    assert not ids.any()
    assert rest["labels"].any()
    assert not blanked(((lengths, torch.tensor([7, 8])), {}))[0][0].any(), "identities of users, say"


# noise


def test_the_noise_scale_of_known_gradients() -> None:
    """Gradients of batches of 8: a mean of length 1, and a variance of 0.25 in each of 400 entries."""
    rng = np.random.default_rng(0)
    mean = np.full(400, 1 / 20)
    facts = noise_scale(mean + 0.5 * rng.standard_normal((16, 400)), np.ones(400), 8)
    assert facts["scale_low"] <= 8 * 400 * 0.25 <= facts["scale_high"]
    assert facts["scale"] == pytest.approx(800, rel=0.5)
    still = noise_scale(np.tile(mean, (16, 1)), np.ones(400), 8)
    assert still["scale"] == pytest.approx(0.0)
    assert noise_scale(rng.standard_normal((16, 400)), np.ones(400), 8)["scale_high"] == np.inf


def test_seeds_differ_and_gradients_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = found(Noise, lambda: network(0.2), tmp_path, monkeypatch)
    assert len(set(facts["scores"])) == 3
    assert facts["spread"] == pytest.approx(np.std(facts["scores"], ddof=1))
    assert facts["batch_size"] == 16
    assert 0 < facts["scale_low"] <= facts["scale"] <= facts["scale_high"]


def test_whole_data_at_once_has_no_noise_between_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = found(Noise, network, tmp_path, monkeypatch, size=160, by_hand=True)
    assert facts["unscaled"] == "every step takes the same samples"


# learning methods


def test_methods_are_compared_at_their_best_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = found(LearningMethods, network, tmp_path, monkeypatch, rate=1e-5)
    own, *others = facts["methods"]
    assert own["own"]
    assert own["name"] == "SGD"
    assert {each["name"] for each in others} >= {"Adam", "SGD with momentum 0.9", "RMSprop", "SGD", "Adagrad"}
    assert all(len(each["curves"]) == 2 for each in facts["methods"])
    assert len({curve[0] for each in facts["methods"] for curve in each["curves"][:1]}) == 1, "one start, one batch"
    assert min(max(each["scores"]) for each in others) < 0.5 * max(own["scores"]), "at 1e-5 nothing is learned"
