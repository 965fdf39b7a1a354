"""What stands behind what: pairs of linear layers, biases before norms, dropouts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from dnndoctor.measurements import LayerSettings, Wiring
from dnndoctor.recording.assemble import assemble
from tests.observe.watching import examine

Make = Callable[[], nn.Module]


def seen(path: Path, make: Make, *shape: int) -> dict[type, Any]:
    def fit() -> None:
        model = make()
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            output = model(torch.randn(shape or (16, 6)))
            loss = functional.mse_loss(output, torch.ones_like(output))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return assemble(examine(path, fit).rows)


def wiring(path: Path, make: Make, *shape: int) -> Wiring:
    found: Wiring = seen(path, make, *shape)[Wiring]
    return found


class Block(nn.Module):
    """Two layers, and what is done between and behind them."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 8)
        self.q, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.fc1(x)
        if self.kind == "residual":
            h = h + torch.relu(self.fc2(h))
        elif self.kind == "attention":
            h = torch.relu(h)
            scores = (self.q(h) @ self.fc2(h).T).softmax(-1)
            h = scores @ h
        elif self.kind == "split":
            a, b = torch.relu(h).chunk(2, dim=1)
            h = torch.cat([a, b], dim=1)
        elif self.kind == "reshaped":
            h = torch.relu(self.fc2(functional.dropout(h, 0.1).view(-1, 8)))
        elif self.kind == "shared":
            h = torch.relu(self.fc2(torch.relu(self.fc2(h))))
        elif self.kind == "frozen":
            h = torch.relu(self.fc2(h))
        else:
            h = torch.relu(h)
        return self.head(h)  # type: ignore[no-any-return]


def test_a_pair_past_a_change_of_shape_and_a_dropout(tmp_path: Path) -> None:
    [found] = wiring(tmp_path, lambda: Block("reshaped")).pairs
    assert (found.first, found.second, found.inputs, found.inner, found.outputs) == ("fc1", "fc2", 6, 8, 8)
    assert found.siblings
    assert found.location is not None
    assert "h = self.fc1(x)" in Path(__file__).read_text().splitlines()[found.location.line - 1]


@pytest.mark.parametrize("kind", ["residual", "attention", "split", "shared", "plain"])
def test_no_pair(tmp_path: Path, kind: str) -> None:
    assert not wiring(tmp_path, lambda: Block(kind)).pairs


def test_a_frozen_projection_makes_no_pair(tmp_path: Path) -> None:
    def frozen() -> nn.Module:
        model = Block("frozen")
        model.fc1.requires_grad_(False)
        return model

    assert wiring(tmp_path, lambda: Block("frozen")).pairs
    assert not wiring(tmp_path, frozen).pairs


def test_the_pair_of_a_sequence_is_at_the_layer_s_own_line(tmp_path: Path) -> None:
    def sequence() -> nn.Module:
        layers = [
            nn.Linear(6, 8),
            nn.Linear(8, 8),
        ]
        return nn.Sequential(*layers)

    [found] = wiring(tmp_path, sequence).pairs
    assert found.location is not None
    assert "nn.Linear(6, 8)" in Path(__file__).read_text().splitlines()[found.location.line - 1]


def test_parts_of_the_model_are_no_siblings(tmp_path: Path) -> None:
    def parts() -> nn.Module:
        encoder = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8))
        return nn.Sequential(OrderedDict(encoder=encoder, head=nn.Sequential(nn.Linear(8, 3), nn.Tanh())))

    [found] = wiring(tmp_path, parts).pairs
    assert not found.siblings


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 1)),
        lambda: nn.Sequential(nn.Conv2d(4, 4, (3, 1)), nn.Conv2d(4, 4, (1, 3))),
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(4, 4, 3)),
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.AvgPool2d(2), nn.Conv2d(4, 4, 1)),
    ],
    ids=["depthwise-separable", "one-sided kernels", "upsampling", "pooling"],
)
def test_convolutions_that_belong_together(tmp_path: Path, make: Make) -> None:
    assert not wiring(tmp_path, make, 8, 4, 8, 8).pairs


def test_two_convolutions_with_nothing_between(tmp_path: Path) -> None:
    found = wiring(tmp_path, lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.ReLU()), 8, 3, 8, 8)
    assert len(found.pairs) == 1


def test_a_bias_counts_before_a_batch_norm_only(tmp_path: Path) -> None:
    def convolutions() -> nn.Module:
        first, second = nn.Conv1d(4, 5, 3), nn.Conv1d(5, 6, 3, bias=False)
        return nn.Sequential(first, nn.BatchNorm1d(5), nn.ReLU(), second, nn.BatchNorm1d(6))

    [found] = wiring(tmp_path, convolutions, 8, 4, 8).biases
    assert (found.layer, found.norm, found.entries) == ("0", "1", 5)
    assert not wiring(tmp_path, lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8))).biases
    positions = wiring(tmp_path, lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(4)), 8, 4, 6)
    assert not positions.biases


def test_dropouts_and_what_they_feed(tmp_path: Path) -> None:
    def made() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Linear(8, 3), nn.Dropout(0.4))

    first, last = wiring(tmp_path, made).dropouts
    assert (first.name, first.p, first.after, first.norm, first.loss) == ("1", 0.2, "0", "2", None)
    assert (last.name, last.p, last.after, last.norm, last.loss) == ("4", 0.4, "3", None, "mse_loss")
    assert first.active
    assert not first.ignored


class Careless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.drop, self.spare = nn.Linear(6, 3), nn.Dropout(0.3), nn.Dropout(0.6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.fc(functional.dropout(x, 0.1)))
        self.drop(h)
        return h * 2


def test_a_dropout_whose_result_is_thrown_away_and_one_that_is_never_called(tmp_path: Path) -> None:
    measured = seen(tmp_path, Careless)
    data, thrown = measured[Wiring].dropouts
    assert data.data
    assert not data.ignored
    assert thrown.ignored
    assert {each.name: each.called for each in measured[LayerSettings].dropouts} == {"drop": True, "spare": False}


class Reader(nn.Module):
    def __init__(self, at: int | None) -> None:
        super().__init__()
        self.at = at
        self.rnn = nn.GRU(4, 5, batch_first=True, bidirectional=True)
        self.norm = nn.BatchNorm1d(10, 0.8)
        self.head = nn.Linear(10, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, h = self.rnn(x)
        last = out[:, self.at] if self.at is not None else torch.cat([h[-2], h[-1]], dim=1)
        return self.head(self.norm(last))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("at", "still"), [(-1, "reverse"), (0, "forward"), (2, None), (None, None)])
def test_the_direction_that_reads_one_element(tmp_path: Path, at: int | None, still: str | None) -> None:
    torch.manual_seed(0)
    settings = seen(tmp_path, lambda: Reader(at), 16, 6, 4)[LayerSettings]
    [found], [norm] = settings.recurrent, settings.norms
    assert found.still == still
    assert found.read_at is not None
    assert "last = out" in Path(__file__).read_text().splitlines()[found.read_at.line - 1]
    assert norm.epsilon == 0.8
    assert norm.output_std is not None
    assert norm.output_std < 0.5
