"""Follows a training for the black box, and writes that when something goes wrong."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dnndoctor.recorder.black_box import contents, streams
from dnndoctor.recorder.black_box.affordable import EVERYTHING, INDICES, SAMPLES, Affordable
from dnndoctor.recorder.black_box.fetches import Fetches
from dnndoctor.recorder.black_box.samples import Sample, samples
from dnndoctor.recorder.black_box.spikes import Spikes
from dnndoctor.recorder.black_box.termination import on_termination
from dnndoctor.recorder.recorder import Recorder
from dnndoctor.recorder.step import StepRecord
from dnndoctor.subject.installed import Installed

STEPS = 32  # that the ring holds
BATCHES = 4  # that are held on to, where they are kept: figures of an accelerator arrive a step or two late
SHARE = 0.25  # of the recorder's budget, for what is done at every batch and step
MOST = {"non-finite": 2, "spike": 2, "signal": 3, "end": 1}  # files of each kind
MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True, slots=True)
class Began:
    """A step's first call of the model: what it was called with, and the random streams then if not known before."""

    step: int
    streams: streams.Streams | None
    samples: tuple[Sample, ...]
    inputs: Any


@dataclass(frozen=True, slots=True)
class Stepped:
    """What was recorded of a step; ``figures``: of layers and parameters, by the names of their series."""

    record: StepRecord
    figures: Mapping[str, float]


class BlackBox:
    """A listener of the recorder. ``keep_batches``: hold the last batches themselves, and write that of the step."""

    def __init__(self, recorder: Recorder, *, keep_batches: bool = False) -> None:
        self.recorder = recorder
        self.fetches = Fetches(self, STEPS, BATCHES if keep_batches else 0)
        self.began_at: deque[Began] = deque(maxlen=BATCHES)
        self.steps: deque[Stepped] = deque(maxlen=STEPS)
        self.written: list[Path] = []
        self._keep = keep_batches
        self._spikes = Spikes()
        self._figures: tuple[int, Mapping[str, float]] = (-1, {})
        self._broken = False
        self._counts: dict[str, int] = {}
        self._affordable = Affordable(recorder.cadence.overhead * SHARE)

    def install(self, installed: Installed) -> None:
        """Follow loaders and losses as well."""
        self.fetches.install(installed)
        self.recorder.early, self.recorder.late = self.told, self._judge_late
        self.recorder.add_listener(self)
        on_termination(self._terminated, installed)

    def _terminated(self) -> None:
        """The process is about to be ended. Whatever it was doing is interrupted, so no lock of ours may be needed."""
        self.write("signal", "SIGTERM", weights=False, told=False)

    # what the loaders ask

    @property
    def step(self) -> int:
        """The optimizer step that runs."""
        return self.recorder.step

    @property
    def following(self) -> int | None:
        """How closely the step that runs can be looked at; None where there is nothing to follow."""
        recorder = self.recorder
        if recorder.closed or recorder.failure is not None:
            return None
        return self._affordable.settle(recorder.step)

    def streams(self) -> streams.Streams:
        """Those of Python and numpy too, where they are cheap beside a step."""
        return streams.take(self._affordable.level == EVERYTHING)

    def pay(self, call: Callable[..., None], *values: Any) -> None:
        """Do it shielded; it counts as ours."""
        meter, affordable = self.recorder.meter, self._affordable
        start = time.perf_counter()
        began = meter.enter()
        try:
            with torch._C.DisableTorchFunction():
                call(*values)
        except Exception as bug:  # noqa: BLE001 - it is told in the report
            self.recorder.fail(bug)
        meter.leave(began, "black box")
        affordable.spent += time.perf_counter() - start

    def do(self, call: Callable[..., None], *values: Any) -> None:
        """Do it shielded; it costs less than to count that."""
        try:
            call(*values)
        except Exception as bug:  # noqa: BLE001 - it is told in the report
            self.recorder.fail(bug)

    # what the recorder tells

    def began(self, step: int, inputs: tuple[Any, ...]) -> None:
        """The first call of the model in a step that is recorded."""
        level = self.following
        if level is None or level < SAMPLES:
            return
        start = time.perf_counter()
        last = self.fetches.recent[-1] if self.fetches.recent else None
        known = last is not None and last.step == step and last.after is not None
        taken = None if known else self.streams()
        self.began_at.append(Began(step, taken, samples(inputs), inputs if self._keep else None))
        self._affordable.spent += time.perf_counter() - start

    def told(self, losses: list[Any], broken: bool) -> None:
        """Backward is about to run on the last one; on a CPU it is a number, and the weights are still as they were.

        ``broken``: one of them is not finite.
        """
        level = self.following
        if level is None or not losses or not isinstance(losses[-1], float):
            return
        if broken or level > INDICES:
            self.pay(self._judge, losses[-1], self.recorder.step)

    def measured(self, step: int, _time: float, figures: Mapping[str, float]) -> None:
        """Figures of layers."""
        self._figures = step, figures

    def stepped(self, record: StepRecord) -> None:
        """A step is made."""
        at, figures = self._figures
        self.steps.append(Stepped(record, figures if at == record.step else {}))
        if self.on_accelerator and math.isfinite(record.loss):
            self._judge(record.loss, record.step)

    def _judge_late(self, loss: float, step: int) -> None:
        """Figures have arrived, and among them a loss that is not finite."""
        if self.on_accelerator:
            self._judge(loss, step)

    def closed(self, outcome: str, error: BaseException | None) -> None:
        """The end."""
        self.recorder.early = self.recorder.late = None
        if error is None or isinstance(error, SystemExit):
            return
        if isinstance(error, KeyboardInterrupt):
            self.write("end", f"{outcome} ({type(error).__name__})", weights=False)
            return
        words = f"{type(error).__name__}: {error}"
        no_memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(w in words for w in MEMORY_WORDS)
        self.write("end", f"out of memory ({words})" if no_memory else words, weights=self._in_step())

    @property
    def on_accelerator(self) -> bool:
        """Whether losses become known only after their step."""
        return any(each.device.type != "cpu" for _, each in self.recorder.named[:1])

    def _in_step(self) -> bool:
        """Whether a step is under way: its batch is there, and the optimizer has not used it."""
        now = self.recorder.step
        began = any(each.step == now for each in self.began_at)
        return began or any(each.step == now for each in self.fetches.recent)

    def _judge(self, loss: float, step: int) -> None:
        broke, self._broken = self._broken, not math.isfinite(loss)
        if self._broken:
            if not broke:  # what follows from weights that are broken tells nothing new
                self.write("non-finite", f"the loss is {loss}", step=step, loss=loss)
        elif self._spikes.take(loss):
            self.write("spike", f"the loss jumps to {loss:.4g}", step=step, loss=loss)

    def write(
        self,
        kind: str,
        reason: str,
        *,
        step: int | None = None,
        loss: float = math.nan,
        weights: bool = True,
        told: bool = True,
    ) -> Path | None:
        """Write the box beside the recording; a few of each kind. Gives its path, None if there is none.

        ``told``: in the recording and on standard error as well.
        """
        recorder = self.recorder
        count = self._counts.get(kind, 0)
        if count >= MOST[kind] or recorder.lead is None or not recorder.store.path.name:
            return None
        self._counts[kind] = count + 1
        at = recorder.step if step is None else step
        path = _free(recorder.store.path.with_suffix(f".step{at}.box"))
        try:
            contents.write(path, contents.told(self, reason, at, loss, weights))
        except (OSError, RuntimeError) as why:
            _say(f"{path} cannot be written ({why}); the training goes on")
            path.unlink(missing_ok=True)
            return None
        self.written.append(path)
        if not told:
            return path
        recorder.store.event(at, "black box", reason=reason, path=path.name)
        if kind != "end":
            recorder.on_event()
        _say(f"step {at}: {reason}; black box: {path}")
        return path


def _free(path: Path) -> Path:
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def _say(message: str) -> None:
    print(f"dnndoctor: {' '.join(message.split())}", file=sys.stderr, flush=True)
