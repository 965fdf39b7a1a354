"""Which outputs change with another sample, or with a later step; and the model is as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tests.probes.outside_of import probed

Forward = Callable[[Any, torch.Tensor], torch.Tensor]
TIME, FEATURES, LETTERS = 10, 6, 13


class Rows(nn.Module):
    """A classifier of short sequences, whose way from input to output is given."""

    def __init__(self, way: Forward) -> None:
        super().__init__()
        self.way = way
        self.lstm, self.first = nn.LSTM(FEATURES, 8), nn.LSTM(FEATURES, 8, num_layers=2, batch_first=True)
        self.encoder = nn.TransformerEncoderLayer(FEATURES, 2, 16, dropout=0.1)
        self.score, self.norm = nn.Linear(FEATURES, 1), nn.BatchNorm1d(TIME * FEATURES)
        self.eight, self.six, self.all = nn.Linear(8, 3), nn.Linear(FEATURES, 3), nn.Linear(TIME * FEATURES, 3)
        self.both = nn.Linear(16, 3)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.way(self, x)


MIXED: dict[str, tuple[str, str, Forward]] = {
    "time first": ("recurrent", "lstm", lambda m, x: m.eight(m.lstm(x)[0][:, -1])),
    "view": ("view", "view", lambda m, x: m.eight(m.lstm(x.view(TIME, -1, FEATURES))[0][-1])),
    "state": ("view", "view", lambda m, x: m.both(m.first(x)[1][0].view(-1, 16))),
    "turned": ("view", "reshape", lambda m, x: m.all(x.permute(1, 0, 2).reshape(x.shape[0], -1))),
    "encoder": ("attention", "multi_head_attention_forward", lambda m, x: m.six(m.encoder(x).mean(1))),
    "softmax": ("normalizing", "softmax", lambda m, x: m.six((m.score(x).softmax(0) * x).sum(1))),
    "normalize": ("normalizing", "normalize", lambda m, x: m.all(functional.normalize(x.flatten(1), dim=0))),
    "deviation": ("other", "std", lambda m, x: m.all(x.flatten(1) - x.flatten(1).std(0))),
}
CLEAN: dict[str, Forward] = {
    "layers": lambda m, x: m.all(x.flatten(1)),
    "batch first": lambda m, x: m.eight(m.first(x)[0][:, -1]),
    "turned": lambda m, x: m.eight(m.lstm(x.transpose(0, 1))[0][-1]),
    "state": lambda m, x: m.both(m.first(x)[1][0].transpose(0, 1).reshape(-1, 16)),
    "encoder": lambda m, x: m.six(m.encoder(x.transpose(0, 1)).mean(0)),
    "softmax": lambda m, x: m.six((m.score(x).softmax(1) * x).sum(1)),
    "batch norm": lambda m, x: m.all(m.norm(x.flatten(1))),
}


def trained(model: nn.Module, by_hand: bool) -> nn.Module:
    torch.manual_seed(0)
    x, y = torch.randn(64, TIME, FEATURES), torch.randint(3, (64,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pairs: Any = zip(torch.chunk(x, 4), torch.chunk(y, 4), strict=True)
    for a, b in pairs if by_hand else DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True):
        loss: Any = functional.cross_entropy(model(a), b)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def mixing(path: Path, way: Forward, by_hand: bool = False) -> dict[str, Any]:
    model = Rows(way)
    facts, _ = probed(path, "entry-mixing", lambda: trained(model, by_hand))
    [one] = facts["models"]
    found: dict[str, Any] = one["mixing"]
    return found


@pytest.mark.parametrize("by_hand", [False, True], ids=["loader", "by hand"])
@pytest.mark.parametrize("name", MIXED)
def test_a_mixture_is_followed_to_its_operation(name: str, by_hand: bool, tmp_path: Path) -> None:
    kind, operation, way = MIXED[name]
    found = mixing(tmp_path, way, by_hand)
    assert found["others"] > 0
    assert (found["kind"], found["operation"], found["location"][0]) == (
        kind,
        operation,
        "tests/probes/" + __name__.rpartition(".")[2] + ".py",
    )
    assert found["loaded"] is not by_hand
    assert not found["clean_elsewhere"]


@pytest.mark.parametrize("name", CLEAN)
def test_samples_that_keep_to_themselves(name: str, tmp_path: Path) -> None:
    found = mixing(tmp_path, CLEAN[name])
    assert (found["entries"], found["tried"], found["others"], found["effect"]) == (16, 3, 0, 0.0)


def test_another_axis_may_be_the_batch(tmp_path: Path) -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(FEATURES, 8), nn.Linear(8, 1)

        def forward(self, x: torch.Tensor) -> Any:
            return self.head(self.lstm(x)[0])

    def loop() -> nn.Module:
        model = Tagger()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            x = torch.randn(12, 5, FEATURES)
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
        return model

    facts, _ = probed(tmp_path, "entry-mixing", loop)
    found = facts["models"][0]["mixing"]
    assert found["others"] > 0
    assert (found["clean_elsewhere"], found["loaded"]) == (True, False)


class Letters(nn.Module):
    def __init__(self, kind: str, causal: bool) -> None:
        super().__init__()
        self.kind, self.causal = kind, causal
        self.embedding, self.head = nn.Embedding(LETTERS, 8), nn.Linear(8, LETTERS)
        self.lstm = nn.LSTM(8, 8 if causal else 4, batch_first=True, bidirectional=not causal)
        self.conv = nn.Conv1d(8, 8, 3, padding=2 if causal else 1)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: torch.Tensor) -> Any:
        steps = x.shape[1]
        h = self.embedding(x)
        mask = nn.Transformer.generate_square_subsequent_mask(steps) if self.causal else None
        if self.kind == "softmax":
            scores = h @ h.transpose(1, 2)
            h = (scores if mask is None else scores + mask).softmax(-1) @ h
        elif self.kind == "encoder":
            h = self.encoder(h, mask)
        elif self.kind == "lstm":
            h = self.lstm(h)[0]
        else:
            h = self.conv(h.transpose(1, 2))[..., :steps].transpose(1, 2)
        return self.head(h)


def leak(path: Path, model: nn.Module, target: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, Any] | None:
    def loop() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            text = torch.randint(LETTERS, (6, 9))
            optimizer.zero_grad()
            loss: Any = functional.cross_entropy(model(text[:, :-1]).transpose(1, 2), target(text))
            loss.backward()
            optimizer.step()

    torch.manual_seed(0)
    facts, _ = probed(path, "entry-mixing", loop)
    found: dict[str, Any] | None = facts["models"][0].get("leak")
    return found


KINDS = {"softmax": "normalizing", "encoder": "attention", "lstm": "recurrent", "conv": "layer"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_future_is_seen_without_a_mask(kind: str, tmp_path: Path) -> None:
    found = leak(tmp_path, Letters(kind, causal=False), lambda text: text[:, 1:])
    assert found is not None
    assert (found["steps"], found["equal"], found["kind"]) == (8, 1.0, KINDS[kind])
    assert found["effect"] > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_a_causal_model_sees_no_future(kind: str, tmp_path: Path) -> None:
    found = leak(tmp_path, Letters(kind, causal=True), lambda text: text[:, 1:])
    assert found is not None
    assert found["effect"] == 0.0


@pytest.mark.parametrize(
    "target", [lambda t: t[:, :-1] * 3 % LETTERS, lambda t: t[:, :-1], lambda t: t[:, :-1].flip(1)]
)
def test_tags_and_copies_are_no_next_steps(target: Callable[[torch.Tensor], torch.Tensor], tmp_path: Path) -> None:
    assert leak(tmp_path, Letters("encoder", causal=False), target) is None


def state(model: Rows) -> list[Any]:
    parts = [{k: v for k, v in vars(m).items() if not k.startswith("_")} for m in model.modules()]
    return [parts, [each.clone() for each in (*model.parameters(), *model.buffers())], torch.get_rng_state()]


@pytest.mark.parametrize("breaks", [False, True])
def test_the_model_is_as_it_was(breaks: bool, tmp_path: Path) -> None:
    seen: list[Any] = []
    calls = 0

    def way(m: Any, x: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 4:
            seen.append(state(model))
        m.calls += 1
        if breaks and calls == 6:
            raise ValueError("another sample")
        out: torch.Tensor = m.all(functional.dropout(m.norm(x.flatten(1) + torch.randn(())), 0.1, m.training))
        return out

    model = Rows(way)
    after: list[Any] = []

    def loop() -> nn.Module:
        trained(model, by_hand=True)
        after.extend(state(model))
        return model

    facts, _ = probed(tmp_path, "entry-mixing", loop)
    assert ("missing" in facts) is breaks
    parts, tensors, stream = state(model)
    assert parts == after[0]
    assert all(torch.equal(one, other) for one, other in zip(tensors, after[1], strict=True))
    assert torch.equal(stream, after[2])


def test_a_copied_layer_is_named_by_the_line_of_its_template(tmp_path: Path) -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerEncoderLayer(FEATURES, 2, 16)
            self.layers, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(FEATURES, 3)

        def forward(self, x: torch.Tensor) -> Any:
            return self.head(self.layers(x).mean(1))

    facts, _ = probed(tmp_path, "entry-mixing", lambda: trained(Encoder(), by_hand=True))
    found = facts["models"][0]["mixing"]
    file, line, _ = found["layer_location"]
    assert Path(file).read_text(encoding="utf-8").splitlines(keepends=True)[line - 1].strip() == (
        "layer = nn.TransformerEncoderLayer(FEATURES, 2, 16)"
    )


class Words(nn.Module):
    """Torch's own layout: steps, rows, features; the state is handed on from batch to batch."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.lstm, self.head = nn.Embedding(LETTERS, 8), nn.LSTM(8, 8), nn.Linear(8, LETTERS)

    def forward(self, x: torch.Tensor, state: Any) -> Any:
        out, state = self.lstm(self.embedding(x), state)
        return self.head(out).view(-1, LETTERS), state


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("next_step", [True, False])
def test_the_first_axis_may_be_time(alike: bool, next_step: bool, tmp_path: Path) -> None:
    def loop() -> nn.Module:
        torch.manual_seed(0)
        model, state = Words(), None
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            text = torch.randint(LETTERS, (8, 1)).expand(8, 10) if alike else torch.randint(LETTERS, (8, 10))
            out, state = model(text[:-1], state)
            state = tuple(each.detach() for each in state)
            target = text[1:] if next_step else text[:-1] * 3 % LETTERS
            optimizer.zero_grad()
            loss: Any = functional.cross_entropy(out, target.reshape(-1))
            loss.backward()
            optimizer.step()
        return model

    facts, _ = probed(tmp_path, "entry-mixing", loop)
    found = facts["models"][0]["mixing"]
    assert found["others"] > 0
    assert (found["clean_elsewhere"], found["loaded"]) == (True, False)
