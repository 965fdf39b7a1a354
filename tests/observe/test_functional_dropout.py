"""Dropouts that a model's mode does not reach."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from dnndoctor.measurements import LooseDropouts
from dnndoctor.recording.assemble import assemble
from tests.observe.watching import examine


class Net(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.fc = nn.Linear(4, 4)
        self.drop = nn.Sequential(nn.Dropout(0.3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.fc(x)
        if self.kind == "bare":
            return functional.dropout(h, 0.3)
        if self.kind == "by name":
            return functional.dropout(h, p=0.3)
        if self.kind == "new layer":
            return nn.Dropout(0.3)(h)  # type: ignore[no-any-return]
        if self.kind == "with its mode":
            return functional.dropout(h, 0.3, self.training)
        if self.kind == "by name, with its mode":
            return functional.dropout(h, p=0.3, training=self.training)
        if self.kind == "meant":
            return functional.dropout(h, 0.3, training=True)
        if self.kind == "none":
            return functional.dropout(h, 0.0)
        return self.drop(h)  # type: ignore[no-any-return]


def seen(path: Path, kind: str, evaluated: bool = True) -> LooseDropouts:
    def fit() -> None:
        model = Net(kind)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            model.train()
            optimizer.zero_grad()
            loss = model(torch.randn(8, 4)).square().mean()
            loss.backward()
            optimizer.step()
            if evaluated:
                model.eval()
                with torch.no_grad():
                    model(torch.randn(8, 4))

    found: LooseDropouts = assemble(examine(path, fit).rows)[LooseDropouts]
    return found


@pytest.mark.parametrize("kind", ["bare", "by name", "new layer"])
def test_a_dropout_that_is_always_on(tmp_path: Path, kind: str) -> None:
    [line] = seen(tmp_path, kind).lines
    assert (line.function, line.p, line.holder, line.layer) == ("dropout", 0.3, "Net", kind == "new layer")
    assert (line.training, line.evaluation) == (3, 3)
    assert line.location is not None
    assert "ropout(" in Path(__file__).read_text().splitlines()[line.location.line - 1]


def test_without_an_evaluation(tmp_path: Path) -> None:
    [line] = seen(tmp_path, "bare", evaluated=False).lines
    assert (line.training, line.evaluation) == (3, 0)


@pytest.mark.parametrize("kind", ["with its mode", "by name, with its mode", "meant", "none", "a layer"])
def test_a_dropout_that_somebody_gave_a_mode(tmp_path: Path, kind: str) -> None:
    assert not seen(tmp_path, kind).lines


def test_noise_on_the_data_is_no_part_of_the_model(tmp_path: Path) -> None:
    def fit() -> None:
        model = nn.Linear(4, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(functional.dropout(torch.randn(8, 4), 0.1)).square().mean()
            loss.backward()
            optimizer.step()

    assert not assemble(examine(tmp_path, fit).rows)[LooseDropouts].lines
