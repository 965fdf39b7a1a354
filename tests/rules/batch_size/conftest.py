"""Batch sweeps with literal throughputs, and loaders."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location
from dnndoctor.measurements import BatchSweep, Loader, Loaders


@pytest.fixture
def sweep() -> Callable[..., BatchSweep]:
    return make_sweep


@pytest.fixture
def loaders() -> Callable[..., Loaders]:
    return make_loaders


def make_sweep(throughput: dict[int, float], user_size: int, knee: int, **changes: Any) -> BatchSweep:
    n = len(throughput)
    given: dict[str, Any] = {
        "sizes": np.array(list(throughput)),
        "throughput": np.array(list(throughput.values())),
        "spread": np.full(n, 1.1),
        "peak_bytes": np.full(n, np.nan),
        "user_size": user_size,
        "knee": (knee, 2 * knee),
        "stopped": "knee",
    }
    return BatchSweep(**(given | changes))


def make_loaders(batch_size: int, length: int | None = 60000, iterable: bool = False, **changes: Any) -> Loaders:
    here = Location("train.py", 9)
    kind = "IterableDataset" if iterable else "TensorDataset"
    one = Loader(here, "training", batch_size, "RandomSampler", False, iterable, 0, False, False, kind, length)
    return Loaders((one,), batch_size, length, **({"batch_location": Location("train.py", 9, 40)} | changes))
