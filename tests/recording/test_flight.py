"""What a flight tells of units that are silent: as many samples as were looked at, and no more."""

import numpy as np
import pytest

from dnndoctor.measurements import Activations
from dnndoctor.recording.flight import measured
from dnndoctor.recording.reader import Points, Rows

LOOKS = 10
KINDS = ("mean", "std", "zero share", "dead share")


def flight(**run: int) -> Rows:
    steps = np.arange(LOOKS, dtype=np.float64)
    unknown = np.full(LOOKS, np.nan)
    series = [
        {"id": n, "name": f"{kind} of 1", "role": "activation",
         "facts": {"file": "", "module": "1", "class": "ReLU", "statistic": kind}}
        for n, kind in enumerate(KINDS)
    ]  # fmt: skip
    points = {n: Points(steps, np.full(LOOKS, 0.7), unknown, unknown) for n in range(len(KINDS))}
    return Rows({"series": series}, {"kind": "flight", **run}, points)


@pytest.mark.parametrize(("run", "pooled"), [({"batch_size": 256}, 640), ({"batch_size": 8}, 80), ({}, 10)])
def test_units_are_pooled_over_the_samples_that_were_seen(run: dict[str, int], pooled: int) -> None:
    found = measured(flight(**run), [Activations])[Activations]
    assert isinstance(found, Activations)
    assert found.sites[0].history[-1].pooled == pooled
