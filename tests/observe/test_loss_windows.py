"""What the windows on losses, gradients and numbers see of small loops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from dnndoctor import measurements as m
from dnndoctor.recording.assemble import assemble
from tests.observe.watching import Examination, examine

Loss = Callable[[Any, torch.Tensor, torch.Tensor], Any]


def loop(loss: Loss, outputs: int = 3, steps: int = 6, features: int = 5, labels: bool = True) -> Callable[[], None]:
    def run() -> None:
        torch.manual_seed(0)
        model = nn.Linear(features, outputs)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(steps):
            x = torch.randn(16, features)
            y = torch.randint(0, max(outputs, 2), (16,)) if labels else torch.randn(16)
            optimizer.zero_grad()
            torch.autograd.backward(loss(model, x, y))
            optimizer.step()

    return run


def measured(examination: Examination, kind: type) -> Any:
    return assemble(examination.rows)[kind]


def inputs(path: Path, loss: Loss, **options: Any) -> m.LossInputs:
    found = measured(examine(path, loop(loss, **options)), m.LossInputs)
    assert isinstance(found, m.LossInputs)
    return found


def test_raw_scores_and_log_probabilities_are_told_apart(tmp_path: Path) -> None:
    [raw] = inputs(tmp_path, lambda model, x, y: F.nll_loss(model(x), y)).all
    assert raw.lowest_log_normaliser is not None
    assert raw.lowest_log_normaliser > 0.3
    [right] = inputs(tmp_path, lambda model, x, y: F.nll_loss(F.log_softmax(model(x), 1), y)).all
    assert right.log_normaliser == pytest.approx(0, abs=1e-5)
    assert [use.axis for use in right.softmaxes] == [1]


def test_probabilities_by_hand_are_known_by_their_sum(tmp_path: Path) -> None:
    def by_hand(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        e = model(x).exp()
        return F.cross_entropy(e / e.sum(1, keepdim=True), y)

    assert inputs(tmp_path, by_hand).all[0].probabilities
    assert not inputs(tmp_path, lambda model, x, y: F.cross_entropy(model(x), y)).all[0].probabilities


def test_shapes_and_their_broadcast(tmp_path: Path) -> None:
    [seen] = inputs(tmp_path, lambda model, x, y: F.mse_loss(model(x), y), outputs=1, labels=False).all
    assert (seen.input_shape, seen.target_shape) == ((16, 1), (16,))


@pytest.mark.parametrize(
    ("loss", "count"),
    [
        (lambda model, x, y: ((model(x) - y) ** 2).mean(), 1),
        (lambda model, x, y: (y - model(x)).abs().sum() / 16, 1),
        (lambda model, x, y: ((model(x).squeeze(1) - y) ** 2).mean(), 0),
        (lambda model, x, y: ((model(x) - y) ** 2).min(1).values.mean(), 0),  # pairs on purpose
    ],
)
def test_differences_by_hand(tmp_path: Path, loss: Loss, count: int) -> None:
    found = inputs(tmp_path, loss, outputs=1, labels=False).differences
    assert len(found) == count
    assert all(each.result == (16, 16) and each.prediction_shape == (16, 1) for each in found)


def test_labels_that_were_cast_and_rows_of_one_hot(tmp_path: Path) -> None:
    [seen] = inputs(tmp_path, lambda model, x, y: F.mse_loss(model(x)[:, 0], y.float())).all
    assert seen.from_integers
    assert seen.whole
    assert seen.distinct == (0.0, 1.0, 2.0)
    [seen] = inputs(tmp_path, lambda model, x, y: F.mse_loss(model(x), F.one_hot(y, 3).float())).all
    assert seen.one_hot


def test_a_target_that_is_the_input(tmp_path: Path) -> None:
    assert inputs(tmp_path, lambda model, x, y: F.mse_loss(model(x), x), outputs=5).all[0].target_is_input
    assert not inputs(tmp_path, lambda model, x, y: F.mse_loss(model(x), x + 1), outputs=5).all[0].target_is_input


def test_signs_and_scales_behind_the_loss(tmp_path: Path) -> None:
    [negated] = inputs(tmp_path, lambda model, x, y: -F.cross_entropy(model(x), y)).all
    assert negated.linear
    assert negated.sign is not None
    focal: Loss = lambda model, x, y: (1 - (-F.cross_entropy(model(x), y, reduction="none")).exp()).mean()  # noqa: E731
    for curved in (focal, lambda model, x, y: 1 - F.cross_entropy(model(x), y)):
        assert not inputs(tmp_path, curved).all[0].linear
    assert inputs(tmp_path, lambda model, x, y: F.cross_entropy(model(x), y, reduction="sum") / 16).all[0].divided
    summed = inputs(tmp_path, lambda model, x, y: ((model(x)[:, 0] - y) ** 2).sum()).summed
    assert summed is not None


def test_a_likelihood_as_the_whole_loss(tmp_path: Path) -> None:
    picked: Loss = lambda model, x, y: F.log_softmax(model(x), 1).gather(1, y[:, None]).mean()  # noqa: E731
    assert inputs(tmp_path, picked).likelihood is not None

    def bernoulli(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> Any:
        p = model(x)[:, 0].sigmoid()
        return (y * torch.log(p + 1e-6) + (1 - y) * torch.log(1 - p + 1e-6)).mean()

    assert inputs(tmp_path, bernoulli).likelihood is not None

    def entropy(model: nn.Module, x: torch.Tensor, _: torch.Tensor) -> Any:
        scores = model(x)
        return (F.softmax(scores, 1) * F.log_softmax(scores, 1)).sum(1).mean()

    assert inputs(tmp_path, entropy).likelihood is None


def test_a_mean_over_ignored_targets(tmp_path: Path) -> None:
    [seen] = inputs(tmp_path, lambda model, x, y: F.cross_entropy(model(x), y, ignore_index=0), outputs=2).all
    assert seen.ignore_index == 0
    assert 0.3 < seen.ignored_share < 0.7


def accumulated(divide: float, rescale: bool = False, one_batch: bool = False) -> Callable[[], None]:
    def run() -> None:
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            held: list[torch.Tensor] = []
            for _ in range(3):
                x = held[0] if one_batch and held else torch.randn(8, 4)
                held.append(x)
                loss = F.mse_loss(model(x), x[:, :1])
                torch.autograd.backward(loss / divide if divide != 1 else loss)
            if rescale:
                for p in model.parameters():
                    assert p.grad is not None
                    p.grad /= 3
            optimizer.step()

    return run


@pytest.mark.parametrize(
    ("run", "averageable", "rescaled"),
    [
        (accumulated(1), 5, 0),
        (accumulated(3), 0, 0),
        (accumulated(1, rescale=True), 5, 5),
        (accumulated(1, one_batch=True), 0, 0),
    ],
)
def test_passes_between_steps(tmp_path: Path, run: Callable[[], None], averageable: int, rescaled: int) -> None:
    found = measured(examine(tmp_path, run), m.Accumulation)
    assert (found.backwards, found.averageable, found.rescaled) == (3, averageable, rescaled)


def test_the_norm_before_clipping(tmp_path: Path) -> None:
    def run() -> None:
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            (100 * model(torch.ones(8, 4))).sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()

    found = measured(examine(tmp_path, run), m.Clipping)
    assert len(found.norm) == 5
    assert found.norm[0] == pytest.approx(800 * 5**0.5, rel=1e-4)
    assert set(found.limit) == {0.5}


def test_the_ends_of_domains(tmp_path: Path) -> None:
    def loss(model: nn.Module, x: torch.Tensor, _: torch.Tensor) -> Any:
        return (90 + model(x)).exp().log().mean() + (1 / (model(x) ** 2 + 1e-3)).mean()

    found = {each.operation: each for each in measured(examine(tmp_path, loop(loss, steps=2)), m.Domains).all}
    assert found["exp"].largest > 88
    assert found["div"].least >= 1e-3


def test_gradients_in_float16(tmp_path: Path) -> None:
    def loss(model: nn.Module, x: torch.Tensor, _: torch.Tensor) -> Any:
        with torch.autocast("cpu", dtype=torch.float16):
            hidden = model(x)
        return hidden.float().square().mean() * 1e-6

    places = measured(examine(tmp_path, loop(loss, steps=3)), m.HalfPrecision).places
    assert sum(each.entries for each in places) > 0
    assert sum(each.vanishing for each in places) > 0.5 * sum(each.entries for each in places)
    assert not measured(examine(tmp_path, loop(lambda model, x, y: model(x).mean())), m.HalfPrecision).places
