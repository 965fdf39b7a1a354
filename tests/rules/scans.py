"""Literal scans of training data."""

from __future__ import annotations

from typing import Any

from dnndoctor.findings import Location
from dnndoctor.measurements import DataScan, LoaderEpoch, LossTargets, Overlap, SampleSet, Targets
from dnndoctor.rule import Result, Rule

HERE, THERE = Location("train.py", 20), Location("train.py", 22)


def judge(rule: Rule, *measured: Any, **thresholds: Any) -> Result:
    return rule.evaluate({type(each): each for each in measured}, thresholds)


def samples(**changes: Any) -> SampleSet:
    given: dict[str, Any] = {
        "role": "training",
        "loader": 0,
        "location": HERE,
        "dataset": "TensorDataset",
        "length": 400,
        "scanned": 400,
        "source": "tensors",
        "input_shape": (10,),
    }
    return SampleSet(**(given | changes))


def scan(*sets: SampleSet, **changes: Any) -> DataScan:
    return DataScan(sets or (samples(),), **changes)


def labels(*counts: int, start: int = 0) -> Targets:
    return Targets("integer", classes=tuple((float(start + i), n) for i, n in enumerate(counts)))


def loss_targets(*counts: int, start: int = 0, **changes: Any) -> LossTargets:
    given: dict[str, Any] = {
        "function": "cross_entropy",
        "location": THERE,
        "kind": "integer",
        "values": tuple((float(start + i), n) for i, n in enumerate(counts)),
        "per_sample": True,
        "classes": len(counts),
    }
    return LossTargets(**(given | changes))


def overlap(shared: int, looked_at: int = 100, **changes: Any) -> Overlap:
    given: dict[str, Any] = {"location": THERE, "training_location": HERE, "by": "content"}
    return Overlap(shared=shared, looked_at=looked_at, **(given | changes))


def epoch(samples: int = 1000, batch_size: int = 32, **changes: Any) -> LoaderEpoch:
    given: dict[str, Any] = {
        "location": HERE,
        "role": "training",
        "last": samples % batch_size or batch_size,
        "batches": samples // batch_size,
        "drop_last": False,
    }
    return LoaderEpoch(samples=samples, batch_size=batch_size, **(given | changes))
