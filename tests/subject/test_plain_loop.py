"""Batches of every shape are taken apart by what the model asks for, and losses are called as they want to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from dnndoctor.subject.plain_loop import BadTarget, Call, GuessedLoss, PlainLoop, Reader, UserLoss

X, Z, Y = torch.zeros(4, 3), torch.ones(4, 2), torch.arange(4)


class One(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Any:
        return self.layer(x)


class Two(One):
    def forward(self, x: Tensor, z: Tensor) -> Any:  # type: ignore[override]
        return self.layer(x) + z


class Named(One):
    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None) -> Any:
        return self.layer(input_ids)


class Whole(One):
    def forward(self, batch: Any) -> Any:
        return self.layer(batch["x"])


class Record(NamedTuple):
    x: Tensor
    z: Tensor
    y: Tensor


@dataclass
class Sample:
    x: Tensor
    label: Tensor


def told(call: Call) -> tuple[list[str], dict[str, str], str | None]:
    def name(value: Any) -> str:
        return next((n for n, t in (("x", X), ("z", Z), ("y", Y)) if value is t), type(value).__name__)

    target = None if call.target is None else name(call.target)
    return [name(each) for each in call.args], {k: name(v) for k, v in call.keywords.items()}, target


@pytest.mark.parametrize(
    ("model", "batch", "args", "keywords", "target"),
    [
        (One, (X, Y), ["x"], {}, "y"),
        (One, [X, Y], ["x"], {}, "y"),
        (One, X, ["x"], {}, None),
        (One, (X,), ["x"], {}, None),
        (One, {"x": X, "label": Y}, [], {"x": "x"}, "y"),
        (One, {"features": X, "target": Y}, ["x"], {}, "y"),
        (One, Sample(X, Y), [], {"x": "x"}, "y"),
        (Two, (X, Z, Y), ["x", "z"], {}, "y"),
        (Two, ((X, Z), Y), ["x", "z"], {}, "y"),
        (Two, (X, Z), ["x", "z"], {}, None),
        (Two, Record(X, Z, Y), [], {"x": "x", "z": "z"}, "y"),
        (
            Named,
            {"input_ids": X, "attention_mask": Z, "labels": Y},
            [],
            {"input_ids": "x", "attention_mask": "z", "labels": "y"},
            "y",
        ),
        (Named, ({"input_ids": X, "attention_mask": Z}, Y), [], {"input_ids": "x", "attention_mask": "z"}, "y"),
        (Whole, {"x": X, "y": Y}, ["dict"], {}, "y"),
    ],
)
def test_batches(model: type[One], batch: Any, args: list[str], keywords: dict[str, str], target: str | None) -> None:
    call = Reader(model())(batch)
    if keywords == {} and args == ["dict"]:
        assert isinstance(call.args[0], dict)
        assert call.target is Y
    else:
        assert told(call) == (args, keywords, target)


def test_arrays_become_tensors() -> None:
    call = Reader(One())((X.numpy(), Y.numpy()))
    assert torch.equal(call.args[0], X)
    assert torch.equal(call.target, Y)


def test_losses_are_called_with_what_they_take() -> None:
    weight = torch.ones((), requires_grad=True)
    call = Call((X,), {}, Y)
    asked: list[int] = []

    def with_parts(recon: Tensor, x: Tensor, mu: Tensor, spread: Tensor) -> Tensor:
        asked.append(4)
        assert x is Y
        return weight * 1.0

    assert UserLoss(lambda output: weight * output.sum())(Z, call) == 8.0
    assert UserLoss(lambda output, target: weight * target.sum())(Z, call) == 6.0
    assert UserLoss(with_parts)((X, Z, Z), call) == 1.0
    assert asked == [4]
    assert UserLoss(lambda output, target: weight * (target is X))(X, Call((X,), {})) == 1.0


@pytest.mark.parametrize(
    ("output", "target", "said"),
    [
        (torch.zeros(4, 3), Y % 3, "cross-entropy over"),
        (torch.zeros(4, 3).softmax(1), Y % 3, "negative log-likelihood of the probabilities"),
        (torch.zeros(4, 3).log_softmax(1), Y % 3, "negative log-likelihood"),
        (torch.zeros(4, 5, 3), torch.zeros(4, 5, dtype=torch.long), "cross-entropy"),
        (torch.zeros(4, 3, 6, 6), torch.zeros(4, 6, 6, dtype=torch.long), "cross-entropy"),
        (torch.zeros(4, 1), Y % 2, "binary cross-entropy of logits"),
        (torch.zeros(4), (Y % 2).float(), "binary cross-entropy of logits"),
        (torch.zeros(4, 1).sigmoid().squeeze(1), Y % 2, "binary cross-entropy"),
        (torch.zeros(4, 1), Y * 1.5, "squared error"),
        (torch.zeros(4, 3), None, "its inputs are"),
    ],
)
def test_a_loss_is_chosen_by_output_and_targets(output: Tensor, target: Any, said: str) -> None:
    start = torch.zeros_like(output, requires_grad=True)
    redone = (output.log() + start).softmax(1) if "probabilities" in said else None
    made = {
        "negative log-likelihood": lambda: (output + start).log_softmax(1),
        "binary cross-entropy": lambda: (start + 0.0).sigmoid().reshape(output.shape),
    }.get(said, lambda: output + start)()
    loss = GuessedLoss()
    value = loss(redone if redone is not None else made, Call((X,), {}, target))
    assert torch.isfinite(value)
    assert said in (loss.told or "").replace("cross-entropy, as", "cross-entropy over, as")


def test_what_has_no_loss_says_so() -> None:
    with pytest.raises(BadTarget, match=r"output of \[4, 3\] and targets of \[4, 2\]"):
        GuessedLoss()(torch.zeros(4, 3, requires_grad=True) + 0, Call((X,), {}, Z + 0.5))
    with pytest.raises(BadTarget, match="carries no gradient"):
        GuessedLoss()(torch.zeros(4, 3), Call((X,), {}, Y))


def test_epochs_are_followed_by_an_evaluation_and_the_schedule() -> None:
    model, seen = One(), []
    model.register_forward_hook(lambda m, *_: seen.append((m.training, torch.is_grad_enabled())))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    steps = 0

    def stop(*_: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise InterruptedError

    optimizer.register_step_post_hook(stop)
    loop = PlainLoop(model, [(X, Y % 2)] * 2, Reader(model), GuessedLoss(), optimizer, scheduler, [(X, Y)])
    with pytest.raises(InterruptedError):
        loop.run()
    train, evaluate = (True, True), (False, False)
    assert seen == [train, train, evaluate, train, train, evaluate, train]
    assert scheduler.get_last_lr() == [0.25]
