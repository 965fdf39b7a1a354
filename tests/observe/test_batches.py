"""What a model is fed: from which loader, how many samples, and in whatever form."""

# mypy: disable-error-code="no-untyped-call, no-any-return"
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dnndoctor.recording.reader import role
from tests.observe.watching import Examination, examine

N = 12
X = torch.randn(N * 4, 5, generator=torch.Generator().manual_seed(1))
Y = (X.sum(1) > 0).long()


def loader(size: int, count: int = N * 4) -> DataLoader[Any]:
    return DataLoader(TensorDataset(X[:count], Y[:count]), batch_size=size)


def roles(found: Examination) -> dict[int, str]:
    """By batch size."""
    return {row["facts"]["batch_size"]: role(row["facts"]) for row in found.rows["loader"]}


class Loop:
    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def step(self, *batches: Any) -> None:
        self.optimizer.zero_grad()
        loss = sum(nn.functional.cross_entropy(self.model(x), y) for x, y in batches)
        loss.backward()  # type: ignore[union-attr]
        self.optimizer.step()

    def evaluate(self, batches: Any) -> None:
        with torch.no_grad():
            for x, _ in batches:
                self.model(x)


def test_loaders_that_are_drawn_side_by_side_both_train(tmp_path: Path) -> None:
    def run() -> None:
        loop = Loop()
        for one, two in zip(loader(8), loader(6), strict=False):
            loop.step(one, two)

    assert roles(examine(tmp_path, run)) == {8: "training", 6: "training"}


def test_a_loader_that_is_passed_whole_between_steps_evaluates(tmp_path: Path) -> None:
    def run() -> None:
        loop, validation = Loop(), loader(7)
        for batch in loader(8):
            loop.step(batch)
            loop.evaluate(validation)

    assert roles(examine(tmp_path, run)) == {8: "training", 7: "evaluation"}


def test_one_batch_between_steps_evaluates_too(tmp_path: Path) -> None:
    def run() -> None:
        loop, validation = Loop(), loader(7)
        for batch in loader(8):
            loop.step(batch)
            loop.evaluate([next(iter(validation))])

    assert roles(examine(tmp_path, run)) == {8: "training", 7: "evaluation"}


def test_a_whole_validation_set_in_one_batch_evaluates(tmp_path: Path) -> None:
    def run() -> None:
        loop, validation = Loop(), loader(9, 9)
        for _ in range(2):
            for batch in loader(8):
                loop.step(batch)
            loop.evaluate(validation)

    assert roles(examine(tmp_path, run)) == {8: "training", 9: "evaluation"}


def test_an_evaluation_that_forgot_to_switch_gradients_off_is_one(tmp_path: Path) -> None:
    def run() -> None:
        loop, validation = Loop(), loader(9, 9)
        for batch in loader(8):
            loop.step(batch)
            for x, _ in validation:
                loop.model(x)

    assert roles(examine(tmp_path, run)) == {8: "training", 9: "evaluation"}


def test_a_loader_that_is_only_looked_at_is_no_training_loader(tmp_path: Path) -> None:
    def run() -> None:
        loop, look = Loop(), loader(5)
        next(iter(look))
        for batch in loader(8):
            loop.step(batch)

    assert roles(examine(tmp_path, run))[8] == "training"


# forms of batches


@dataclass
class Record:
    points: torch.Tensor
    names: list[str]


class Pair(NamedTuple):
    points: torch.Tensor
    extra: list[torch.Tensor]


class Plain:
    def __init__(self, points: torch.Tensor) -> None:
        self.count = len(points)
        self.points = points


class Wrapped(torch.Tensor):
    pass


FORMS: dict[str, tuple[Callable[[torch.Tensor], Any], Callable[[Any], torch.Tensor]]] = {
    "tensor": (lambda x: x, lambda b: b),
    "dict of lists": (lambda x: {"kind": "a", "clouds": [x, x], "more": ((x,), x)}, lambda b: b["clouds"][0]),
    "dataclass": (lambda x: Record(x, ["a"]), lambda b: b.points),
    "named tuple": (lambda x: Pair(x, [x]), lambda b: b.points),
    "plain object": (Plain, lambda b: b.points),
    "nested objects": (lambda x: {"batch": Plain(x)}, lambda b: b["batch"].points),
    "a number first": (lambda x: (torch.tensor(0.5), x), lambda b: b[1]),
    "sparse": (lambda x: x.to_sparse(), lambda b: b.to_dense()),
    "sparse rows": (lambda x: x.to_sparse_csr(), lambda b: b.to_dense()),
    "complex": (lambda x: torch.complex(x, x), lambda b: b.real),
    "subclass": (lambda x: x.as_subclass(Wrapped), lambda b: b.as_subclass(torch.Tensor)),
    "whole numbers": (lambda x: x.long(), lambda b: b.float()),
    "bytes": (lambda x: (x * 20 + 128).to(torch.uint8), lambda b: b.float() / 255),
    "truth values": (lambda x: x > 0, lambda b: b.float()),
    "half precision": (lambda x: x.half(), lambda b: b.float()),
    "brain floats": (lambda x: x.bfloat16(), lambda b: b.float()),
    "quantized": (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8), lambda b: b.dequantize()),
    "not contiguous": (lambda x: x.t().contiguous().t(), lambda b: b),
    "expanded": (lambda x: x[:1].expand(len(x), 5), lambda b: b),
    "strings beside": (lambda x: (["a"] * len(x), x), lambda b: b[1]),
}


class Reader(nn.Module):
    def __init__(self, read: Callable[[Any], torch.Tensor]) -> None:
        super().__init__()
        self.read = read
        self.layer = nn.Linear(5, 2)

    def forward(self, batch: Any) -> torch.Tensor:
        return self.layer(self.read(batch))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("keyword", [False, True], ids=["positional", "keyword"])
@pytest.mark.parametrize("form", FORMS)
def test_batches_of_every_form(form: str, keyword: bool, tmp_path: Path) -> None:
    make, read = FORMS[form]

    def run() -> list[float]:
        torch.manual_seed(0)
        model = Reader(read)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses = []
        for step in range(4):
            part = slice(step * N, step * N + N)
            batch = make(X[part])
            loss = nn.functional.cross_entropy(model(batch=batch) if keyword else model(batch), Y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    seen: list[float] = []
    found = examine(tmp_path, lambda: seen.extend(run()))
    assert found.losses == seen == run()
    assert [row["batch_size"] for row in found.rows["step"]] == [N] * 4
    [group] = [each for each in found.passes() if each["model"] == "Reader"]
    assert (group["passes"], group["longest_run"]) == (4, 1)
    assert found.rows["event"] == []


def test_a_model_on_meta_beside_the_one_that_is_trained(tmp_path: Path) -> None:
    def run() -> None:
        with torch.device("meta"):
            shape = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8))
        loop = Loop()
        for batch in loader(8):
            shape(torch.empty(8, 5, device="meta")).sum().backward()
            loop.step(batch)

    found = examine(tmp_path, run)
    assert len(found.losses) == 6
    assert found.rows["event"] == []


def test_lazy_modules_get_their_values_at_the_first_pass(tmp_path: Path) -> None:
    def run() -> None:
        model = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(2))
        optimizer: torch.optim.Optimizer | None = None
        for x, y in loader(8):
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    found = examine(tmp_path, run)
    assert len(found.losses) == 6
    initial = {row["name"]: row["facts"].get("std") for row in found.rows["parameter"]}
    assert initial["0.weight"] == pytest.approx(5**-0.5 / 3**0.5, rel=0.3)


def test_the_user_s_batches_are_not_changed_by_being_looked_at(tmp_path: Path) -> None:
    batches = [X[i : i + N].clone() for i in range(0, len(X), N)]

    def run() -> None:
        loop = Loop()
        for number, batch in enumerate(batches):
            loop.step((batch, Y[number * N : number * N + N]))

    examine(tmp_path, run)
    assert all(torch.equal(batch, X[i * N : i * N + N]) for i, batch in enumerate(batches))
    assert [batch._version for batch in batches] == [0] * len(batches)
