"""Figures from the device to the host without waiting for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

MOST_UNDER_WAY = 16

Deliver = Callable[[list[float]], None]


@dataclass(slots=True)
class _UnderWay:
    host: torch.Tensor
    event: Any
    deliver: Deliver


class Transfer:
    """Delivers figures in the order in which they were sent: at once on the CPU, else when the copy has arrived."""

    def __init__(self) -> None:
        self._waiting: deque[_UnderWay] = deque()

    @property
    def under_way(self) -> bool:
        """Whether anything has not arrived yet."""
        return bool(self._waiting)

    def send(self, figures: Sequence[torch.Tensor], deliver: Deliver) -> None:
        """Copy these tensors, each of one or more figures, in one go, and hand them to ``deliver`` as one list."""
        parts = [each.detach().reshape(-1) for each in figures]
        if not parts:
            self._put(torch.zeros(0), None, deliver)
            return
        devices = {each.device for each in parts}
        if all(device.type == "cpu" for device in devices):
            self._put(torch.cat([each.double() for each in parts]) if len(parts) > 1 else parts[0], None, deliver)
            return
        device = next(each for each in devices if each.type != "cpu")
        joined = torch.cat([each.to(device, torch.float32, non_blocking=True) for each in parts])
        host = torch.empty(joined.shape, dtype=torch.float32, pin_memory=device.type == "cuda")
        host.copy_(joined, non_blocking=True)
        event = torch.Event(device)
        event.record()
        self._put(host, event, deliver)

    def _put(self, host: torch.Tensor, event: Any, deliver: Deliver) -> None:
        if event is None and not self._waiting:
            deliver(host.tolist())
            return
        self._waiting.append(_UnderWay(host, event, deliver))
        self.collect()

    def collect(self, wait: bool = False) -> None:
        """Deliver what has arrived; with ``wait``, or when too much is under way, all or the oldest in any case."""
        while self._waiting:
            first = self._waiting[0]
            if first.event is not None and not first.event.query():
                if not wait and len(self._waiting) <= MOST_UNDER_WAY:
                    return
                first.event.synchronize()
            self._waiting.popleft()
            first.deliver(first.host.tolist())
