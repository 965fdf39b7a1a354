"""What models take is found by asking them, without touching them or any random stream."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given as vary
from hypothesis import settings
from hypothesis import strategies as st
from torch import nn

from dnndoctor.subject import synthetic
from dnndoctor.subject.given import GivenInput
from dnndoctor.subject.input_search import NotFound, Search, batch_for
from dnndoctor.subject.objective import choose
from tests.subject import models

WHAT = {
    models.Mlp: ("floats [32, 13]", "cross-entropy over 3 classes"),
    models.FlatMlp: ("floats [32, 784]", "cross-entropy over 10 classes"),
    models.LeNet: ("floats [32, 3, 32, 32]", "cross-entropy over 10 classes"),
    models.MnistNet: ("floats [32, 1, 28, 28]", "negative log-likelihood over 10 classes"),
    models.UNet: ("floats [32, 3, 32, 32]", "cross-entropy over 4 classes"),
    models.Gpt: (
        "idx: integers below 65 [32, 16]; targets: integers below 65 [32, 16]",
        "the loss that the model returns",
    ),
    models.TwoTower: ("u: integers below 100 [32]; v: integers below 50 [32]", "binary cross-entropy"),
    models.Gcn: (
        "x: floats [32, 16]; edge_index: integers below 32 [2, 12]",
        "cross-entropy over 7 classes",
    ),
    models.GcnOfData: (
        "data.x: floats [32, 16]; data.edge_index: integers below 32 [2, 12]",
        "cross-entropy over 7 classes",
    ),
    models.DenseGcn: ("x: floats [32, 16]; adj: floats [32, 32]", "cross-entropy over 7 classes"),
    models.Tagger: ("integers below 200 [32, 16]", "cross-entropy over 9 classes"),
    models.Forecast: ("floats [32, 16, 4]", "squared error"),
    models.StatefulGru: (
        "x: integers below 40 [32, 16]; hidden: floats [1, 32, 16]",
        "cross-entropy over 40 classes",
    ),
    models.Vae: ("floats [32, 784]", "variational autoencoder"),
    models.Generator: ("floats [32, 16, 1, 1]", "squared error"),
    models.Vit: ("floats [32, 3, 64, 64]", "cross-entropy over 10 classes"),
    models.Tcn: ("floats [32, 12, 16]", "cross-entropy over 5 classes"),
    models.Mixer: ("floats [32, 3, 32, 32]", "cross-entropy over 10 classes"),
    models.Siamese: ("x1: floats [32, 1, 28, 28]; x2: floats [32, 1, 28, 28]", "cosine embedding loss"),
    models.ActorCritic: (
        "floats [32, 4]",
        "negative log-likelihood of the probabilities over 2 classes + squared error",
    ),
    models.Atari: ("floats from 0 to 255 [32, 4, 84, 84]", "cross-entropy over 6 classes"),
    models.Critic: ("state: floats [32, 12]; action: floats [32, 11]", "squared error"),
    models.PointNet: ("floats [32, 16, 3]", "cross-entropy over 40 classes"),
    models.TextCnn: ("integers below 500 [32, 16]", "cross-entropy over 2 classes"),
    models.BagOfWords: ("text: integers below 100 [32]; offsets: 0, 1, 2, ... [32]", "cross-entropy over 4 classes"),
    models.Translator: (
        "src: integers below 60 [32, 16]; tgt: integers below 70 [32, 16]",
        "cross-entropy over 70 classes",
    ),
    models.Classifier: (
        "input_ids: integers below 100 [32, 16]; attention_mask: booleans [32, 16]",
        "cross-entropy over 3 classes",
    ),
    models.OfDict: ("batch.numeric: floats [32, 6]; batch.category: integers below 12 [32]", "squared error"),
    models.Diffusion: ("x: floats [32, 1, 32, 32]; t: floats [32]", "squared error of the reconstruction"),
    models.LossInside: ("x: floats [32, 9]; y: integers below 4 [32]", "the loss that the model returns"),
    models.SeriesTransformer: ("floats [32, 16, 5]", "squared error"),
    models.Experts: ("floats [32, 8]", "cross-entropy over 2 classes"),
    models.Video: ("floats [32, 3, 8, 32, 32]", "cross-entropy over 5 classes"),
    models.Factorization: ("integers below 30 [32, 3]", "squared error"),
    models.ImageAndText: (
        "image: floats [32, 3, 32, 32]; text: integers below 50 [32, 16]",
        "cross-entropy over 4 classes",
    ),
    models.Autoencoder: ("floats [32, 20]", "squared error of the reconstruction"),
}


@pytest.mark.parametrize("kind", WHAT, ids=lambda kind: kind.__name__)
def test_inputs_and_loss_are_found_and_nothing_is_touched(kind: type[nn.Module]) -> None:
    model = kind()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    streams = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())  # type: ignore[index]
    modes = [m.training for m in model.modules()]
    found = Search(model).find()
    objective = choose(found.inputs, found.output)
    assert objective is not None
    inputs, loss = WHAT[kind]
    assert (found.inputs.told(32), objective.told) == (inputs, objective.told)
    assert loss in objective.told
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(streams[0], torch.get_rng_state())
    assert streams[1] == random.getstate()
    assert np.array_equal(streams[2], np.random.get_state()[1])  # type: ignore[index]
    assert modes == [m.training for m in model.modules()]
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("kind", [k for k in WHAT if k is not models.Factorization], ids=lambda kind: kind.__name__)
def test_synthetic_batches_train(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = kind()
    found = Search(model).find()
    objective = choose(found.inputs, found.output)
    assert objective is not None
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    batches = synthetic.Batches(found.inputs, objective, 8, torch.device("cpu"))
    losses = []
    for step in range(48):
        batch = batches[step % len(batches)]
        args, keywords = synthetic.feed(found.inputs, batch)
        loss = objective(model(*args, **keywords), batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-16:]) < np.mean(losses[:16]), "there is something to learn in it"


@settings(max_examples=25, deadline=None)
@vary(
    channels=st.integers(1, 9),
    size=st.sampled_from((16, 28, 32, 48, 64, 96)),
    classes=st.integers(2, 20),
    stride=st.integers(1, 2),
)
def test_any_small_convolution_net(channels: int, size: int, classes: int, stride: int) -> None:
    convolution = nn.Conv2d(channels, 4, 3, stride)
    flat = convolution(torch.zeros(1, channels, size, size)).numel()
    found = Search(nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(flat, classes))).find()
    [leaf] = found.inputs.leaves.values()
    assert leaf.sizes[0] == channels
    assert convolution(torch.zeros(1, *leaf.sizes)).numel() == flat


@settings(max_examples=25, deadline=None)
@vary(features=st.integers(1, 300), hidden=st.integers(1, 64), outputs=st.integers(1, 12))
def test_any_small_tabular_net(features: int, hidden: int, outputs: int) -> None:
    found = Search(nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, outputs))).find()
    assert [leaf.sizes for leaf in found.inputs.leaves.values()] == [(features,)]


def test_given_inputs_are_taken_and_ids_bounded() -> None:
    search = Search(models.Classifier())
    given = [GivenInput((40,), "int"), GivenInput((40,), "bool", name="attention_mask")]
    found = search.find(search.leaves(given))
    assert found.inputs.told(2) == "input_ids: integers below 100 [2, 40]; attention_mask: booleans [2, 40]"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([GivenInput((5,))], "attention_mask is missing"),
        ([GivenInput((5,), "int"), GivenInput((5,)), GivenInput((5,))], "forward takes 2"),
    ],
)
def test_given_inputs_that_do_not_fit(given: list[GivenInput], said: str) -> None:
    with pytest.raises(NotFound, match=said):
        Search(models.Classifier()).leaves(given)


class Impossible(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("I take no tensors at all")


def test_what_cannot_be_found_says_what_to_give() -> None:
    with pytest.raises(NotFound, match=r"--input 3,32,32 .*train_loader"):
        Search(Impossible(2, 2), seconds=2.0).find()


def test_batches_shrink_for_costly_models() -> None:
    assert [batch_for(flops) for flops in (0.0, 1e6, 5e8, 1e12)] == [32, 32, 8, 4]
