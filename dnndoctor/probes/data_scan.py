"""A bounded pass over the samples behind training and evaluation: what is odd about them, and what they share.

Run once the loop is over, when it is known which loaders trained and which evaluated. Where the samples can only be
had through a loader, and where there is none, the watched batches must do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, RandomSampler, SequentialSampler, SubsetRandomSampler
from torch.utils.data.distributed import DistributedSampler

from dnndoctor.observe.feeds import Feeds
from dnndoctor.observe.loaders import LoaderFacts, order_of
from dnndoctor.observe.watch import Watch
from dnndoctor.probes import labels, overlap, suspects, tables, twins
from dnndoctor.probes.room import Room
from dnndoctor.probes.samples import Column, Samples, of_dataset, of_tensors

MOST_SETS = 6
MOST_INDICES = 2_000_000
REPEATED_READS = 32  # a sample that is drawn anew in one of ten cases is found out in 97 of 100
WHOLE = (SequentialSampler, RandomSampler, DistributedSampler)


@dataclass
class Found:
    """One set of samples with what it was read from."""

    role: str
    loader: LoaderFacts | None
    samples: Samples
    dataset: Any
    indices: NDArray[np.int64]

    @property
    def location(self) -> Any:
        """Where its loader was built."""
        return self.loader.location if self.loader else None


def measure(watch: Watch, room: Room) -> None:
    """Scan what is there, the training data first."""
    deadline = room.deadline
    sets: list[Found] = []
    reasons: list[str] = []
    loaders = _in_question(watch)
    for number, (each, role) in enumerate(loaders):
        share = (deadline - time.perf_counter()) * 0.6 / (len(loaders) - number)
        found = _of_loader(each, role, max(share, 0.1))
        if isinstance(found, str):
            reasons.append(found)
        else:
            sets.append(found)
    sets += _of_feeds(watch, sets, max((deadline - time.perf_counter()) / 3, 0.1))
    rows = [_facts(each, watch) for each in sets]
    if not any(each.role == "training" for each in sets):
        watched = labels.of_batches(watch)
        rows += [watched] if watched else []
    if not rows:
        why = reasons[0] if reasons else "neither a dataset nor a tensor that is trained on was seen"
        watch.writer.put("probe", {"name": "data-scan", "facts": {"missing": why}})
        return
    doubts = _suspects(sets, deadline)
    facts = {
        "sets": rows,
        "overlaps": overlap.between(sets),
        "suspects": doubts,
        "loss_targets": labels.of_losses(watch),
        "batch_leak": labels.leak_in_batches(watch),
    }
    watch.writer.put("probe", {"name": "data-scan", "facts": facts})


def _in_question(watch: Watch) -> list[tuple[LoaderFacts, str]]:
    """Loaders that trained or evaluated, with the role; of the many of a cross-validation the last ones."""
    # Another model may train on it, with an optimizer whose steps are not counted.
    trained = {each.loader for each in watch.passes.groups.values() if each.trained}
    training = [each for each in watch.loaders.all if each.steps or each.index in trained]
    evaluation = [each for each in watch.loaders.all if each.batches and each not in training]
    some = slice(-MOST_SETS // 2, None)
    return [*((each, "training") for each in training[some]), *((each, "evaluation") for each in evaluation[some])]


def _of_loader(loader: LoaderFacts, role: str, seconds: float) -> Found | str:
    dataset = getattr(loader.loader, "dataset", None)
    if dataset is None or isinstance(dataset, IterableDataset):
        return "the dataset is a stream"
    indices = indices_of(loader.loader, dataset)
    if isinstance(indices, str):
        return indices
    samples = of_dataset(dataset, indices, seconds)
    if isinstance(samples, str):
        return samples
    return Found(role, loader, samples, dataset, indices)


def indices_of(loader: Any, dataset: Any) -> NDArray[np.int64] | str:
    """The samples that an epoch of this loader can hold."""
    sampler = order_of(loader)
    if isinstance(sampler, SubsetRandomSampler):
        return np.asarray(list(sampler.indices), np.int64)
    try:
        whole = np.arange(len(dataset)) if len(dataset) <= MOST_INDICES else _spaced(len(dataset))
    except TypeError:
        return "the dataset has no length"
    if getattr(sampler, "indices", None) is not None and not isinstance(sampler, WHOLE):
        try:
            return np.asarray(list(sampler.indices), np.int64)
        except (TypeError, ValueError):
            return "the sampler's choice is not known"
    return whole


def _spaced(length: int) -> NDArray[np.int64]:
    """Of datasets that draw their samples there may be as many as somebody writes."""
    return np.unique(np.linspace(0, length - 1, MOST_INDICES).astype(np.int64))


def _of_feeds(watch: Watch, known: list[Found], seconds: float) -> list[Found]:
    """What a loop without loaders indexes, and what is evaluated without one."""
    feeds = next((each for each in watch.windows.all if isinstance(each, Feeds)), None)
    if feeds is None:
        return []
    found = []
    inputs, targets, evaluated = feeds.inputs, feeds.targets, feeds.evaluated
    if not watch.loaders.all and inputs is not None and _whole(watch, inputs):
        paired = targets is not None and len(targets) == len(inputs)
        found += _of_rows("training", [inputs, targets] if paired and targets is not None else [inputs], seconds)
    training = [each for each in (*known, *found) if each.role == "training" and each.samples.columns[0].shape]
    for tensor in evaluated.values():
        if any(each.samples.columns[0].shape == tensor.shape[1:] for each in training):
            found += _of_rows("evaluation", [tensor], seconds / len(evaluated))
    return found


def _of_rows(role: str, tensors: list[torch.Tensor], seconds: float) -> list[Found]:
    rows = np.arange(len(tensors[0]))
    samples = of_tensors(tensors, rows, seconds)
    return [Found(role, None, samples, tensors[0], rows)] if isinstance(samples, Samples) else []


def _whole(watch: Watch, inputs: torch.Tensor) -> bool:
    """Not a batch that was put together in ways that were not seen."""
    return len(inputs) > watch.typical_batch() or watch.same_batch_again


def _facts(found: Found, watch: Watch) -> dict[str, Any]:
    samples = found.samples
    target = labels.target_of(samples, watch)
    inputs = [i for i in range(len(samples.columns)) if i != target]
    facts: dict[str, Any] = {
        "role": found.role,
        "loader": found.loader.index if found.loader else None,
        "location": found.location,
        "dataset": type(found.dataset).__name__,
        "length": samples.length,
        "scanned": len(samples.positions),
        "source": samples.source,
        "target": labels.facts_of(samples.columns[target]) if target is not None else None,
        "repeatable": _repeatable(found) if samples.source == "items" else True,
    }
    if not inputs:
        return facts
    main = _main_input([samples.columns[i] for i in inputs], watch)
    truth = samples.columns[target] if target is not None else None
    known = _labels(truth)
    facts["input"] = _of_input(main, known, truth, samples)
    whole = _combined([samples.columns[i].hashes for i in inputs])
    both = whole if truth is None else _combined([whole, truth.hashes])
    told = ~twins.blanks([samples.columns[i] for i in inputs])
    facts["twins"] = {
        **twins.duplicates(whole[told], known[told] if known is not None else None, both[told]),
        "natural": twins.few_forms(whole[told]) or not any(twins.chance_excluded(samples.columns[i]) for i in inputs),
    }
    if truth is not None and truth.scalar:
        facts["leak"] = labels.leak(main, truth)
    return facts


def _main_input(columns: list[Column], watch: Watch) -> Column:
    """The widest field that has the shape of what the model is given, if any has: others may be wide targets."""
    given = {tuple(fed.shape[1:]) for fed in watch.fed.values() if fed.role == "input"}
    fitting = [each for each in columns if each.shape is not None and tuple(each.shape) in given]
    return max(fitting or columns, key=lambda each: each.width)


def _combined(hashes: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    found = hashes[0]
    for each in hashes[1:]:
        found = found * np.uint64(0x9E3779B97F4A7C15) + each
    return found


def _labels(truth: Column | None) -> NDArray[Any] | None:
    """The class of each sample, where there is one and every sample's was kept."""
    if truth is None or not truth.scalar or len(truth.values) != len(truth.hashes):
        return None
    values = truth.values[:, 0]
    return values if labels.classes_of(values, truth.kind) is not None else None


def _of_input(main: Column, known: NDArray[Any] | None, truth: Column | None, samples: Samples) -> dict[str, Any]:
    values = main.values
    facts: dict[str, Any] = {"name": main.name, "kind": main.kind, "shape": list(main.shape or ())}
    if not values.size or main.kind not in ("float", "integer"):
        return facts
    tokens = main.kind == "integer" and len(main.shape or ()) == 1
    if main.kind == "float" and len(main.shape or ()) == 1 and 2 <= values.shape[1] <= tables.MOST_FEATURES:
        facts["table"] = tables.odd_features(values[:5000].astype(np.float64))
    here = known[main.rows] if known is not None else None
    if not tokens and values.shape[1] >= 2:
        facts["samples"] = _odd_samples(main, here, truth, samples)
    if tokens:
        facts["padding"] = labels.padding(values)
    return facts


def _odd_samples(main: Column, known: NDArray[Any] | None, truth: Column | None, samples: Samples) -> dict[str, Any]:
    empty = tables.blank(main.values)
    far = tables.outlying(main.values) if main.kind == "float" else np.zeros(len(main.values), bool)
    far &= ~empty
    # A map for a target that is blank as well: there is nothing in the picture, and so it says.
    meant = truth is not None and truth.width > 1 and len(truth.values) == len(main.values)
    if meant and truth is not None and empty.any():
        empty &= ~tables.blank(truth.values)
    at = samples.positions[main.rows]
    return {
        "looked_at": len(main.values),
        "blank": int(empty.sum()),
        "blank_at": at[empty][:10].tolist(),
        "outlying": int(far.sum()),
        "outlying_at": at[far][:10].tolist(),
        "blank_class": tables.of_one_class(empty, known),
        "outlying_class": tables.of_one_class(far, known),
    }


def _repeatable(found: Found) -> bool | None:
    """Whether an index gives the same sample twice."""
    some = found.indices[np.unique(np.linspace(0, len(found.indices) - 1, REPEATED_READS).astype(np.int64))]
    once, again = (of_dataset(found.dataset, some, 1.0) for _ in range(2))  # draws go on from read to read
    if isinstance(once, str) or isinstance(again, str) or len(once.columns) != len(again.columns):
        return None
    return all(np.array_equal(a.hashes, b.hashes) for a, b in zip(once.columns, again.columns, strict=True))


def _suspects(sets: list[Found], deadline: float) -> dict[str, Any]:
    found = next((each for each in sets if each.role == "training"), None)
    if found is None:
        return {"missing": "the training data could not be read"}
    columns = found.samples.columns
    target = next((i for i in range(len(columns) - 1, -1, -1) if _labels(columns[i]) is not None), None)
    truth = _labels(columns[target]) if target is not None else None
    inputs = [each for i, each in enumerate(columns) if i != target and each.kind in ("float", "integer")]
    main = max(inputs, key=lambda each: each.width, default=None)
    if truth is None or main is None or not main.values.size:
        return {"missing": "there are no classes, one per sample"}
    if main.kind == "integer" and len(main.shape or ()) < 2:
        return {"missing": "no simple classifier reads tokens"}
    if deadline - time.perf_counter() < 1.0:
        return {"missing": "the time was up"}
    table, classes = main.values, truth[main.rows]
    named = classes >= 0  # what is negative is ignored by the loss
    doubts = suspects.suspects(table[named], classes[named], deadline)
    at = found.samples.positions[main.rows][named]
    indices = [int(at[each]) for each in doubts.get("indices", ())]
    return {**doubts, "indices": indices, "location": found.location}
