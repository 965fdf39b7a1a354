"""The scan finds what is odd about samples, wherever they come from, and leaves everything as it was."""

# mypy: disable-error-code="no-untyped-call, no-any-return"
from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, SubsetRandomSampler, TensorDataset

from dnndoctor.measurements import DataScan
from dnndoctor.probes.data_scan import indices_of
from dnndoctor.probes.labels import leaking, padding
from dnndoctor.probes.samples import Samples, of_dataset
from dnndoctor.probes.tables import outlying
from dnndoctor.recording.assemble import assemble
from tests.observe.watching import Examination, examine

N, WIDTH = 240, 6
X = torch.randn(N, WIDTH, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] + 0.5 * X[:, 1] > 0).long()


class Items(Dataset[Any]):
    """One sample at a time."""

    def __init__(self, x: Any = X, y: Any = Y) -> None:
        self.x, self.y = x, y
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Any:
        self.read.append(index)
        return self.x[index], self.y[index]


class Noisy(Items):
    def __getitem__(self, index: int) -> Any:
        return self.x[index] + 0.1 * torch.randn(WIDTH), self.y[index]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield from zip(X, Y, strict=True)


class Refusing(Items):
    """Works in its loader's workers only."""

    def __getitem__(self, index: int) -> Any:
        if index == 77:
            raise RuntimeError("the file is not open")
        return super().__getitem__(index)


def train(*batches: Any, evaluate: Any = None, width: int = WIDTH, classes: int = 2) -> Callable[[], None]:
    def run() -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(width, 8), nn.Tanh(), nn.Linear(8, classes))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for each in batches:
            for x, y in each:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            if evaluate is not None:
                with torch.no_grad():
                    for x, _ in evaluate:
                        model(x)

    return run


def loader(dataset: Any, **options: Any) -> DataLoader[Any]:
    return DataLoader(dataset, batch_size=40, **options)


def scanned(found: Examination) -> DataScan:
    scan = assemble(found.rows)[DataScan]
    assert isinstance(scan, DataScan), scan
    return scan


@pytest.mark.parametrize(
    ("dataset", "source"),
    [(TensorDataset(X, Y), "tensors"), (Items(), "items"), (list(zip(X, Y, strict=True)), "items")],
    ids=["tensors", "items", "list"],
)
def test_all_samples_of_a_dataset_are_read(dataset: Any, source: str, tmp_path: Path) -> None:
    training = scanned(examine(tmp_path, train(loader(dataset)))).training
    assert training is not None
    assert (training.scanned, training.length, training.source) == (N, N, source)
    assert training.targets is not None
    assert training.targets.classes == ((0.0, int((Y == 0).sum())), (1.0, int((Y == 1).sum())))
    assert training.repeatable


def test_only_the_part_that_is_trained_on_is_read(tmp_path: Path) -> None:
    for part in (Subset(TensorDataset(X, Y), range(100)), Subset(Items(), range(100))):
        training = scanned(examine(tmp_path, train(loader(part)))).training
        assert training is not None
        assert (training.scanned, training.length) == (100, 100)


def test_what_is_drawn_anew_is_not_repeatable(tmp_path: Path) -> None:
    training = scanned(examine(tmp_path, train(loader(Noisy())))).training
    assert training is not None
    assert training.repeatable is False


def test_streams_and_refusing_datasets_are_told_by_their_batches(tmp_path: Path) -> None:
    for dataset in (Stream(), Refusing()):
        part = Subset(dataset, range(60)) if isinstance(dataset, Refusing) else dataset
        found = scanned(examine(tmp_path, train(loader(part))))
        assert found.training is not None
    whole = loader(Refusing(), sampler=SubsetRandomSampler([i for i in range(N) if i != 77]))
    assert scanned(examine(tmp_path, train(whole))).training is not None


def test_a_loop_without_loaders(tmp_path: Path) -> None:
    def batches() -> Iterator[Any]:
        for start in range(0, N, 40):
            chosen = torch.arange(start, start + 40)
            yield X[chosen], Y[chosen]

    for given in ([(X, Y)] * 5, batches()):
        training = scanned(examine(tmp_path, train(given))).training
        assert training is not None
        assert (training.scanned, training.source) == (N, "tensors")
        assert training.targets is not None
        assert len(training.targets.classes) == 2


def test_everything_is_as_it_was(tmp_path: Path) -> None:
    dataset = Noisy(X.clone(), Y.clone())
    states = []

    def run() -> None:
        train(loader(dataset, shuffle=True))()
        states.append((torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()))  # type: ignore[index]

    examine(tmp_path, run)
    assert torch.equal(torch.get_rng_state(), states[0][0])
    assert np.random.get_state()[1].tolist() == states[0][1]  # type: ignore[index]
    assert random.getstate() == states[0][2]
    assert torch.equal(dataset.x, X)
    assert torch.equal(dataset.y, Y)


def overlaps(path: Path, training: Any, evaluation: Any) -> tuple[int, str, bool, bool]:
    [found] = scanned(examine(path, train(training, evaluate=evaluation))).overlaps
    return found.shared, found.by, found.whole, found.natural


def test_parts_of_one_dataset_that_overlap(tmp_path: Path) -> None:
    for whole in (TensorDataset(X, Y), Items()):
        mine, theirs = loader(Subset(whole, range(200))), loader(Subset(whole, range(180, 240)))
        assert overlaps(tmp_path, mine, theirs) == (20, "place", False, False)


def test_samplers_over_one_dataset(tmp_path: Path) -> None:
    whole = Items()
    mine = loader(whole, sampler=SubsetRandomSampler(range(200)))
    apart = loader(whole, sampler=SubsetRandomSampler(range(200, 240)))
    both = loader(whole, sampler=SubsetRandomSampler(range(190, 240)))
    assert overlaps(tmp_path, mine, apart)[0] == 0
    assert overlaps(tmp_path, mine, both)[:2] == (10, "place")


def test_slices_of_one_tensor_and_copies(tmp_path: Path) -> None:
    mine = loader(TensorDataset(X[:200], Y[:200]))
    assert overlaps(tmp_path, mine, loader(TensorDataset(X[150:], Y[150:])))[:2] == (50, "place")
    copies = loader(TensorDataset(X[150:].clone(), Y[150:].clone()))
    assert overlaps(tmp_path, mine, copies)[:2] == (50, "content")
    assert overlaps(tmp_path, mine, loader(TensorDataset(X[200:], Y[200:])))[0] == 0


def test_the_training_set_itself(tmp_path: Path) -> None:
    one = TensorDataset(X, Y)
    assert overlaps(tmp_path, loader(one), loader(one)) == (N, "place", True, False)


def test_each_fold_has_an_evaluation_of_its_own(tmp_path: Path) -> None:
    whole = TensorDataset(X, Y)

    def run() -> None:
        for fold in (range(120), range(120, 240)):
            rest = [i for i in range(N) if i not in fold]
            train(loader(Subset(whole, rest)), evaluate=loader(Subset(whole, fold)))()

    assert [each.shared for each in scanned(examine(tmp_path, run)).overlaps] == [0, 0]


def test_copies_contradictions_blanks_and_outliers(tmp_path: Path) -> None:
    x = torch.randn(400, 20, generator=torch.Generator().manual_seed(3))
    y = (x[:, 0] > 0).long()
    x[350:], y[350:380] = x[:50], y[:30]
    y[380:] = 1 - y[30:50]
    x[100:110] = 0.0
    x[110:116] *= 1000
    training = scanned(examine(tmp_path, train(loader(TensorDataset(x, y)), width=20))).training
    assert training is not None
    assert training.twins is not None
    assert training.odd is not None
    assert not training.twins.natural
    assert training.twins.contradicting >= 40
    assert training.twins.extra >= 30
    assert (training.odd.blank, training.odd.outlying) == (10, 6)
    assert training.odd.blank_at == tuple(range(100, 110))


def heat_maps(n: int = 300, size: int = 16) -> torch.Tensor:
    """Peaks of which most points see nothing."""
    at = torch.randint(2, size - 2, (n, 2), generator=torch.Generator().manual_seed(5)).float()
    grid = torch.arange(size).float()
    rows = torch.exp(-((grid - at[:, :1]) ** 2) / 4)
    return rows[:, :, None] * torch.exp(-((grid - at[:, 1:]) ** 2) / 4)[:, None, :]


def test_the_peaks_of_a_heat_map_are_no_outliers() -> None:
    assert not outlying(heat_maps().flatten(1).numpy()).any()


def test_a_wide_target_is_not_taken_for_the_input(tmp_path: Path) -> None:
    wide = torch.randn(N, 8, 8)

    class Outer:
        def __iter__(self) -> Iterator[Any]:
            return ((x, y) for x, _, y in loader(TensorDataset(X, wide, Y)))

    training = scanned(examine(tmp_path, train(Outer()))).training
    assert training is not None
    assert training.input_shape == (WIDTH,)


def test_short_binary_samples_repeat_by_nature(tmp_path: Path) -> None:
    x = torch.randint(0, 2, (N, WIDTH), generator=torch.Generator().manual_seed(0)).float()
    dataset = TensorDataset(x, x.sum(1).long() % 2)
    found = scanned(examine(tmp_path, train(loader(dataset), evaluate=loader(TensorDataset(x.clone(), Y)))))
    assert found.training is not None
    assert found.training.twins is not None
    assert found.training.twins.natural
    assert found.overlaps[0].natural


def test_a_label_left_among_the_features(tmp_path: Path) -> None:
    x = torch.cat([X, 3.0 * Y[:, None].float() - 1], dim=1)
    found = scanned(examine(tmp_path, train(loader(TensorDataset(x, Y)), width=WIDTH + 1)))
    assert found.training is not None
    assert found.training.leak is not None
    assert found.training.leak.feature == WIDTH


def test_a_label_that_the_loop_adds(tmp_path: Path) -> None:
    def mixed() -> Iterator[Any]:
        for x, y in loader(TensorDataset(X, Y)):
            yield torch.cat([x, y[:, None].float()], dim=1), y

    found = scanned(examine(tmp_path, train(mixed(), width=WIDTH + 1)))
    assert found.batch_leak is not None
    assert found.batch_leak.feature == WIDTH


def test_fillers_and_constants_of_a_table(tmp_path: Path) -> None:
    x = X.clone()
    x[:, 2] = 7.0
    x[: N * 2 // 3, 4] = -999.0
    training = scanned(examine(tmp_path, train(loader(TensorDataset(x, Y))))).training
    assert training is not None
    assert training.features is not None
    assert training.features.constant == ((2, 7.0),)
    [filler] = training.features.filled
    assert (filler.index, filler.value) == (4, -999.0)
    assert filler.gap > 100


def test_fifty_thousand_small_samples_take_less_than_five_seconds(tmp_path: Path) -> None:
    x = torch.randn(50_000, 64, generator=torch.Generator().manual_seed(0))
    y = (x[:, :4].sum(1) > 0).long()
    began = time.process_time()  # of this process: others may be at work on the machine, too
    training = scanned(examine(tmp_path, train(_first(loader(TensorDataset(x, y))), width=64))).training
    assert time.process_time() - began < 5.0
    assert training is not None
    assert training.scanned == 50_000
    began = time.process_time()
    found = of_dataset(Items(x, y), np.arange(50_000), 100.0)
    assert time.process_time() - began < 4.0
    assert isinstance(found, Samples)
    assert found.complete


def _first(batches: Any) -> Iterator[Any]:
    for number, batch in enumerate(batches):
        if number == 4:
            return
        yield batch


def test_an_evaluation_without_a_loader(tmp_path: Path) -> None:
    def run(held_out: torch.Tensor) -> Callable[[], None]:
        return train(*[loader(TensorDataset(X[:200], Y[:200]))] * 3, evaluate=[(held_out, None)])

    for held_out, shared in ((X[200:], 0), (X[150:], 50), (X[150:].clone(), 50)):
        [found] = scanned(examine(tmp_path, run(held_out))).overlaps
        assert found.shared == shared


def test_a_look_at_the_batch_that_was_just_trained_on_is_no_evaluation(tmp_path: Path) -> None:
    def run() -> None:
        for x, y in loader(TensorDataset(X, Y)):
            train([(x, y)], evaluate=[(x, y)])()

    assert scanned(examine(tmp_path, run)).overlaps == ()


def test_blank_samples_are_no_copies_and_no_leak(tmp_path: Path) -> None:
    x = torch.randn(300, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    x[::5] = 0.0
    y = torch.zeros(300, dtype=torch.long)
    sets = [loader(TensorDataset(part.flatten(1).clone(), y[: len(part)])) for part in (x[:200], x[200:])]
    found = scanned(examine(tmp_path, train(sets[0], evaluate=sets[1], width=36)))
    assert found.training is not None
    assert found.training.twins is not None
    assert found.training.twins.extra == 0
    assert found.overlaps[0].shared == 0


def test_padding_ends_sequences_and_a_first_row_of_one_word_is_none() -> None:
    draw = np.random.default_rng(0)
    words = draw.integers(1, 30, (80, 12))
    words[::8] = 0  # the beginning, of all samples of a batch
    assert padding(words)["empty"] == 0
    for row, length in zip(words, draw.integers(2, 12, 80), strict=True):
        row[length:] = 0
    found = padding(words)
    assert (found["value"], found["empty"]) == (0.0, 10)
    assert 0.4 < found["share"] < 0.6


def test_losses_of_one_kind_over_other_classes_are_not_told_apart(tmp_path: Path) -> None:
    criterion = nn.CrossEntropyLoss()

    def run() -> None:
        model = nn.Sequential(nn.Linear(WIDTH, 8), nn.Tanh(), nn.Linear(8, 14))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for x, y in loader(TensorDataset(X, Y)):
            out = model(x)
            loss = criterion(out[:, :2], y) + criterion(out[:, 2:], y + 10)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    assert scanned(examine(tmp_path, run)).loss_targets == ()


class Endless(Items):
    """Draws its samples, as many as anybody asks for."""

    def __len__(self) -> int:
        return 10**12

    def __getitem__(self, index: int) -> Any:
        x = torch.randn(WIDTH, generator=torch.Generator().manual_seed(index))
        return int(x[0] > 0), x


def test_a_dataset_without_end_whose_label_comes_first(tmp_path: Path) -> None:
    def batches() -> Iterator[Any]:
        for y, x in _first(DataLoader(Endless(), batch_size=40, sampler=SubsetRandomSampler(range(400)))):
            yield x, y

    training = scanned(examine(tmp_path, train(batches()))).training
    assert training is not None
    assert training.targets is not None
    assert len(training.targets.classes) == 2
    assert training.input_shape == (WIDTH,)
    sequential = indices_of(DataLoader(Endless(), batch_size=40), Endless())
    assert not isinstance(sequential, str)
    assert len(sequential) <= 2_000_000


def test_samples_made_of_a_few_settings_repeat_by_nature(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    forms = torch.randn(30, 40, generator=draw)
    chosen = torch.randint(0, 30, (N,), generator=draw)
    one = loader(TensorDataset(forms[chosen], chosen % 2))
    found = scanned(examine(tmp_path, train(one, evaluate=one, width=40)))
    assert found.training is not None
    assert found.training.twins is not None
    assert found.training.twins.natural


def test_logic_of_a_few_bits_may_ask_for_one_of_them() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (400, 12)).astype(np.float32)
    assert leaking(bits[:, :3], bits[:, 2]) is None
    assert leaking(bits, bits[:, 11]) is not None
