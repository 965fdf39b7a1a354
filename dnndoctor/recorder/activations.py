"""What layers put out, looked at through small samples: taken in the forward pass, reckoned together after the step.

In the forward pass one small strided copy is made for each layer, and nothing else: large temporaries and many small
kernels are what looking costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from dnndoctor.observe import sampling
from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.transforms import readable
from dnndoctor.recorder.ear import Ear
from dnndoctor.recorder.look import SAMPLE, Declare, Figures, Look, strided

ROWS = 64  # samples and positions of a step in which a unit may be active
FORGETS_AFTER = 32  # looks, after which a unit that was active once may count as silent again
ZERO_SIDED = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Threshold)
BOUNDED = (nn.Sigmoid, nn.Tanh)
_CONVOLUTION = nn.modules.conv._ConvNd


@dataclass(slots=True)
class _Row:
    """Where a module's sample goes, and how it is taken from an output of this shape."""

    place: int
    series: list[int]
    shape: torch.Size | None = None
    target: torch.Tensor | None = None  # the part of the buffer that is filled
    count: int = 0


@dataclass(slots=True)
class _Units:
    """Which units of some layers were active of late, all in one vector, so that they are counted in one go."""

    slots: dict[str, tuple[int, int]] = field(default_factory=dict)  # by module: where its units begin and end
    now: dict[str, torch.Tensor] = field(default_factory=dict)
    older: torch.Tensor | None = None
    newer: torch.Tensor | None = None
    looks: int = 0

    def take(self, name: str, active: torch.Tensor) -> bool:
        """Note this step's active units, [units]; False where their number has changed: they are no units then."""
        if name not in self.slots:
            start = max((end for _, end in self.slots.values()), default=0)
            self.slots[name] = start, start + active.numel()
        start, end = self.slots[name]
        if end - start != active.numel():
            return False
        self.now[name] = active
        return True

    def shares(self) -> dict[str, torch.Tensor]:
        """By module of this step, the share of units that no sample of the last looks made active."""
        if not self.now:
            return {}
        device = next(iter(self.now.values())).device
        total = max(end for _, end in self.slots.values())
        active = torch.zeros(total, dtype=torch.bool, device=device)
        for name, each in self.now.items():
            active[slice(*self.slots[name])] = each.to(device)
        older, newer = self._grown(self.older, active), self._grown(self.newer, active)
        newer |= active
        silent = ~(older | newer)
        self.looks += 1
        self.older, self.newer = (newer, active) if self.looks % FORGETS_AFTER == 0 else (older, newer)
        found = {name: silent[slice(*self.slots[name])].float().mean() for name in self.now}
        self.now = {}
        return found

    @staticmethod
    def _grown(known: torch.Tensor | None, active: torch.Tensor) -> torch.Tensor:
        if known is None:
            return active.clone()
        return torch.cat([known, active[len(known) :]]) if len(known) < len(active) else known


class Activations(Look):
    """Of some modules, what they put out in the first forward pass of the step that will be differentiated."""

    STATISTICS = ("mean", "std", "zero share")

    def __init__(
        self, named: Sequence[tuple[str, nn.Module]], declare: Declare, number: int = 0, ear: Ear | None = None
    ) -> None:
        self.name = f"activations {number}"
        self._named, self._declare, self._ear = list(named), declare, ear or Ear()
        self._rows: dict[str, _Row] = {}
        self._buffers: dict[torch.device, torch.Tensor] = {}
        self._seen: dict[str, nn.Module] = {}
        self._units = _Units()
        self._channels_second = False
        self._counts: tuple[list[int], torch.Tensor, torch.Tensor] | None = None
        self._broken: Exception | None = None

    def before_forward(self) -> None:
        """Listen in this step."""
        self._seen = {}
        self._ear.listen(self._named, self)

    def heard(self, name: str, module: nn.Module, output: Any) -> None:
        """Take a sample of what a module has put out."""
        if self._broken or name in self._seen:
            return
        try:
            found = output if isinstance(output, torch.Tensor) else next(iter(flat_tensors(output)), None)
            if found is not None and found.is_floating_point() and readable(found) and found.numel():
                self._take(name, module, found.detach())
                self._seen[name] = module
        except Exception as bug:  # noqa: BLE001 - it is raised where the recorder expects it, not in the forward pass
            self._broken = bug

    def _take(self, name: str, module: nn.Module, output: torch.Tensor) -> None:
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = _Row(len(self._rows), self._numbers(name, module))
        sample = strided(output)
        if row.shape != output.shape or row.target is None or row.target.device != output.device:
            self._fit(row, output, len(sample))
        assert row.target is not None
        row.target.copy_(sample)
        if isinstance(module, _CONVOLUTION):
            self._channels_second = True
        elif isinstance(module, nn.Linear):
            self._channels_second = False
        if isinstance(module, ZERO_SIDED):
            units = sampling.unit_sample(output, channels_second=output.dim() > 2 and self._channels_second)
            rows = units[:: sampling.stride_for(units.shape[0], ROWS)]
            if not self._units.take(name, (rows != 0).any(dim=0)):
                row.series = row.series[: len(self.STATISTICS)]

    def _fit(self, row: _Row, output: torch.Tensor, count: int) -> None:
        buffer = self._buffers.get(output.device)
        if buffer is None:
            buffer = torch.zeros(len(self._named), SAMPLE, device=output.device)
            self._buffers[output.device] = buffer
        whole = buffer[row.place]
        whole.zero_()  # what lies behind the sample counts as zeros
        row.target, row.shape, row.count = whole[:count], output.shape, count
        self._counts = None

    def after_step(self) -> Figures | None:
        """Give what was seen."""
        self._ear.close()
        if self._broken is not None:
            raise self._broken
        if not self._seen:
            return None
        device = next(iter(self._buffers))
        for other, buffer in list(self._buffers.items())[1:]:  # a model on several devices
            for name in self._seen:
                row = self._rows[name]
                if row.target is not None and row.target.device == other:
                    self._buffers[device][row.place].copy_(buffer[row.place])
        return self._reckoned(self._buffers[device])

    def _reckoned(self, buffer: torch.Tensor) -> Figures:
        counts, mask = self._sizes(buffer)
        padding = SAMPLE - counts
        mean = buffer.sum(1) / counts
        std = ((buffer - mean[:, None]) * mask).square_().sum(1).div_(counts).sqrt_()
        zeros = ((buffer == 0).sum(1) - padding) / counts
        figures = torch.stack([mean, std, zeros], 1)
        dead = self._units.shares()
        numbers: list[int] = []
        parts: list[torch.Tensor] = []
        for name, module in self._seen.items():
            row = self._rows[name]
            numbers += row.series
            parts.append(figures[row.place])
            if len(row.series) > len(self.STATISTICS):
                more = dead.get(name) if isinstance(module, ZERO_SIDED) else _flat_share(module, row, buffer)
                parts.append(torch.full((1,), torch.nan) if more is None else more.reshape(1))
        self._seen = {}
        return numbers, torch.cat([each.to(buffer.device) for each in parts])

    def _sizes(self, buffer: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """How many entries of each row are filled, [rows], and which, [rows, SAMPLE]."""
        filled = [1] * len(buffer)
        for row in self._rows.values():
            filled[row.place] = row.count
        if self._counts is None or self._counts[0] != filled:
            counts = torch.tensor(filled, dtype=torch.float32).to(buffer.device, non_blocking=True)
            mask = (torch.arange(SAMPLE, device=buffer.device)[None] < counts[:, None]).float()
            self._counts = filled, counts, mask
        return self._counts[1], self._counts[2]

    def _numbers(self, name: str, module: nn.Module) -> list[int]:
        kinds = list(self.STATISTICS)
        if isinstance(module, BOUNDED):
            kinds.append("saturated share")
        elif isinstance(module, ZERO_SIDED):
            kinds.append("dead share")
        facts = {"module": name, "class": type(module).__name__}
        return [self._declare(f"{kind} of {name}", "activation", statistic=kind, **facts) for kind in kinds]

    def drop(self) -> None:
        """Forget what was taken."""
        self._ear.close()
        self._seen = {}


def _flat_share(module: nn.Module, row: _Row, buffer: torch.Tensor) -> torch.Tensor:
    """Share of outputs at which a bounded function's slope is under 5 % of its largest."""
    sample = buffer[row.place, : row.count]
    slope = sample * (1 - sample) * 4 if isinstance(module, nn.Sigmoid) else 1 - sample * sample
    return (slope < 0.05).float().mean()


def leaves(root: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules whose outputs are worth a look: those without children, layers and activation functions."""
    return [
        (name or type(each).__name__, each)
        for name, each in root.named_modules()
        if not any(True for _ in each.children()) and not isinstance(each, (*_NO_LAYERS, torch.jit.ScriptModule))
    ]


_NO_LAYERS = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.Flatten, nn.Unflatten)
