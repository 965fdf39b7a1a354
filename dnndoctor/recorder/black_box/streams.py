"""The random streams that a program draws from: taken cheaply, written plainly, put back exactly."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
import torch


class Streams(NamedTuple):
    """States of the generators; None where one was not taken. ``devices``: by the number of the CUDA device."""

    torch: torch.Tensor
    devices: dict[int, torch.Tensor]
    numpy: dict[str, Any] | None = None
    python: tuple[Any, ...] | None = None

    def set(self) -> None:
        """Let all generators go on from here; devices that are not there are left out."""
        torch.set_rng_state(self.torch)
        for number, state in self.devices.items():
            if number < torch.cuda.device_count():
                torch.cuda.set_rng_state(state, number)
        if self.numpy is not None:
            np.random.set_state(self.numpy)
        if self.python is not None:
            random.setstate(self.python)

    def plain(self) -> dict[str, Any]:
        """As tensors and numbers, so that it can be read without executing anything."""
        numpy = self.numpy
        if numpy is not None:
            inner = numpy["state"]
            numpy = {**numpy, "state": {**inner, "key": torch.from_numpy(inner["key"].astype(np.int64))}}
        python = self.python
        if python is not None:  # as numbers in a tuple it would take long to write
            python = (python[0], torch.tensor(python[1], dtype=torch.int64), python[2])
        return {"torch": self.torch, "devices": self.devices, "numpy": numpy, "python": python}


def of_plain(told: dict[str, Any] | None) -> Streams | None:
    """The streams that ``Streams.plain`` told."""
    if told is None:
        return None
    numpy = told["numpy"]
    if numpy is not None:
        inner = numpy["state"]
        numpy = {**numpy, "state": {**inner, "key": inner["key"].numpy().astype(np.uint32)}}
    python = told["python"]
    if python is not None:
        python = (python[0], tuple(python[1].tolist()), python[2])
    return Streams(told["torch"], told["devices"], numpy, python)


def started() -> bool:
    """Whether there is a device whose streams may have moved; asking does not start it."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def take(everything: bool) -> Streams:
    """The states as they are. Python's and numpy's are 2.5 kB each, and dear to get: only with ``everything``."""
    devices: dict[int, torch.Tensor] = {}
    if started() and not torch.cuda.is_current_stream_capturing():
        number = torch.cuda.current_device()
        devices[number] = torch.cuda.get_rng_state(number)
    if not everything:
        return Streams(torch.default_generator.get_state(), devices)
    numpy = np.random.get_state(legacy=False)
    known = numpy if isinstance(numpy, dict) and numpy.get("bit_generator") == "MT19937" else None
    return Streams(torch.default_generator.get_state(), devices, known, random.getstate())
