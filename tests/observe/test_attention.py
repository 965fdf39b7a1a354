"""The logits of attention, by torch's own functions and by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from dnndoctor.measurements import Attention
from dnndoctor.recording.assemble import assemble
from tests.observe.watching import examine

SCALE = 2.0


class Attending(nn.Module):
    """Queries are the inputs times a number that is learned, keys the inputs."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.scale = nn.Parameter(torch.tensor(SCALE))
        self.mha = nn.MultiheadAttention(4, 2, batch_first=True)
        with torch.no_grad():
            self.mha.in_proj_weight.copy_(torch.cat([SCALE * torch.eye(4), torch.eye(4), torch.eye(4)]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = (self.scale * x).unflatten(-1, (2, 2)).transpose(1, 2)  # type: ignore[no-untyped-call]
        k = x.unflatten(-1, (2, 2)).transpose(1, 2)  # type: ignore[no-untyped-call]
        if self.kind == "heads":
            return self.mha(x, x, x)[0]  # type: ignore[no-any-return]
        if self.kind == "function":
            return functional.scaled_dot_product_attention(q, k, k)
        if self.kind == "causal":
            return functional.scaled_dot_product_attention(q, k, k, is_causal=True)
        scores = q @ k.transpose(-2, -1) / math.sqrt(2)
        if self.kind == "masked by hand":
            later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        weights = functional.softmax(scores, dim=-1)
        return torch.matmul(weights, k)


def seen(path: Path, kind: str, x: torch.Tensor) -> Attention:
    def fit() -> None:
        model = Attending(kind)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()

    found: Attention = assemble(examine(path, fit).rows)[Attention]
    return found


@pytest.mark.parametrize("kind", ["heads", "function", "causal", "by hand", "masked by hand"])
def test_largest_logit_and_entropy(tmp_path: Path, kind: str) -> None:
    x = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    heads = x.view(2, 6, 2, 2).transpose(1, 2)
    logits = SCALE * heads @ heads.transpose(-2, -1) / math.sqrt(2)
    options = torch.full((6,), 6.0)
    if kind in ("causal", "masked by hand"):
        logits = logits.masked_fill(torch.ones(6, 6, dtype=torch.bool).triu(1), -math.inf)
        options = torch.arange(1.0, 7.0).clamp(min=2)
    entropy = (torch.special.entr(logits.softmax(-1)).sum(-1) / options.log()).mean()
    [site] = seen(tmp_path, kind, x).sites
    assert list(site.steps) == [0, 1, 2]
    assert site.largest == pytest.approx([float(logits[logits.isfinite()].abs().max())] * 3, rel=1e-5)
    assert site.entropy == pytest.approx([float(entropy)] * 3, rel=1e-4)
    assert site.location is not None


def test_a_softmax_of_a_layer_s_output_is_no_attention(tmp_path: Path) -> None:
    def fit() -> None:
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(torch.randn(2, 5, 4)).softmax(-1).square().mean()
            loss.backward()
            optimizer.step()

    assert not assemble(examine(tmp_path, fit).rows)[Attention].sites
