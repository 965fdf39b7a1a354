"""``dnndoctor.watch``: the flight recorder for a program that asks for it."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim.optimizer import Optimizer

from dnndoctor.observe.data import flat_tensors
from dnndoctor.postmortem.names import role
from dnndoctor.recorder import current, facts
from dnndoctor.recorder.black_box import BlackBox
from dnndoctor.recorder.companion import Companion
from dnndoctor.recorder.hooks import install
from dnndoctor.recorder.ranks import Witness, rank_and_world
from dnndoctor.recorder.recorder import Recorder
from dnndoctor.recorder.step import Listener
from dnndoctor.recorder.store import Store
from dnndoctor.subject.launchers import launch_name
from dnndoctor.workspace import BadInput, make_way, new_recording

if TYPE_CHECKING:
    from dnndoctor.api import Checked

MOST_OVERHEAD = 1.0


class Watching:
    """A training that is recorded, until ``close``, the end of a ``with`` block, or the end of the program.

    ``path``: the recording, which grows while the training runs. ``own``: it is this one's; under ``dnndoctor run`` its
    recording is joined, and under ``dnndoctor check`` there is none.
    """

    def __init__(
        self, recorder: Recorder, own: bool = True, *, keep_batches: bool = False, stop_on: Collection[str] = ()
    ) -> None:
        self.recorder, self.own = recorder, own
        self._companion = Companion(recorder, stop_on)
        self._hook = sys.excepthook
        self._error: BaseException | None = None
        if own:
            self._installed = install(recorder)
            BlackBox(recorder, keep_batches=keep_batches).install(self._installed)
            if rank_and_world()[0] == 0:  # the others see the same, and would say it again
                recorder.on_event = self._companion.start
            self._companion.attend()
            sys.excepthook = self._raised
            atexit.register(self.close)

    @property
    def path(self) -> Path:
        """Of the recording; an empty one where there is none, or none yet."""
        return self.recorder.store.path

    def log(self, name: str, value: float, step: int | None = None) -> None:
        """Record a figure of your own, such as a validation loss; names are understood as in logs ("val_loss", "lr").

        ``step``: of the optimizer, the one that runs by default.
        """
        if not self.recorder.closed:
            self.recorder.log(name, float(value), role(name).value, step)

    def batch(self, batch: Any) -> None:
        """A step begins with this batch; for loops that train a model without calling it as a whole."""
        recorder = self.recorder
        if recorder.asleep or recorder.closed or recorder.failure is not None:
            return
        began = recorder.meter.enter()
        try:
            recorder.called(tuple(flat_tensors(batch)), True)
        except Exception as bug:  # noqa: BLE001 - it is told in the report
            recorder.fail(bug)
        finally:
            recorder.meter.leave(began, "calls")

    def report(self) -> Checked:
        """The diagnosis of what is recorded until now."""
        from dnndoctor.api import checked_recording

        if not self.recorder.closed:
            self.recorder.flush()
        with tempfile.TemporaryDirectory(prefix="dnndoctor-") as folder:
            copy = Path(folder, self.path.name or "nothing.dnnrec")
            if not self.path.name:
                _nothing(copy)
            for suffix in ("", "-wal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(f"{self.path}{suffix}", f"{copy}{suffix}")
            return checked_recording(copy, self.path)

    def close(self, outcome: str = "finished", error: BaseException | None = None) -> None:
        """End the recording; the training may go on."""
        if not self.own:
            return
        if self._error is not None and error is None:
            outcome, error = _outcome(self._error), self._error
        self.recorder.close(outcome, error)
        self._installed.remove()
        self._companion.close()
        atexit.unregister(self.close)
        if sys.excepthook == self._raised:
            sys.excepthook = self._hook

    def _raised(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self._error = error
        self._hook(kind, error, trace)

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        self.close(_outcome(error), error)


def watch(
    model: nn.Module | Iterable[nn.Module] | None = None,
    optimizer: Optimizer | Iterable[Optimizer] | None = None,
    *,
    overhead: float = 0.01,
    path: str | Path | None = None,
    max_bytes: int = 200_000_000,
    keep_batches: bool = False,
    stop_on: str | Iterable[str] = (),
    listeners: Sequence[Listener] = (),
) -> Watching:
    """Record a training while it runs, at no more than ``overhead`` of its time (0.01: one percent).

    ``model``, ``optimizer``: one or several; without them whatever makes steps, and what that trains. ``path``: of the
    recording, by default a new one under ``.dnndoctor/``. ``max_bytes``: how large it may grow; older steps are then
    thinned. ``keep_batches``: the black box, which is written when something goes wrong, holds the batch itself, not
    only the indices of its samples. ``stop_on``: rules, by code or prefix, whose findings end the training after a
    step, as Ctrl-C does. Results and random streams of the training stay as they are.

    Raises BadInput, in one line, where that cannot be done.
    """
    share = checked_overhead(overhead)
    codes = _codes((stop_on,) if isinstance(stop_on, str) else stop_on)
    models = _several(model, nn.Module, "model")
    optimizers = tuple(_inner(each) for each in _several(optimizer, Optimizer, "optimizer"))
    script = sys.argv[0] if sys.argv and sys.argv[0] else "notebook"
    if current.examined() or (running := current.running()) is not None:
        return _joined(None if current.examined() else running, listeners)
    rank, world = rank_and_world()
    place = _of_rank(Path(path) if path is not None else None, script, rank if world > 1 else None)
    make_way(place)
    recorder = Recorder(
        Store(place, limit_bytes=max_bytes), overhead=share, models=models, optimizers=optimizers, listeners=listeners
    )
    facts.begin(recorder, script=script, args=sys.argv[1:], launch=launch_name(), rank=rank, world=world)
    if world > 1:
        recorder.on_begin = lambda: _witness(recorder)
    return Watching(recorder, keep_batches=keep_batches, stop_on=codes)


def _witness(recorder: Recorder) -> None:
    recorder.on_begin = lambda: None  # it accompanies the optimizer that leads first
    Witness(recorder)


def _of_rank(path: Path | None, script: str, rank: int | None) -> Path:
    """The path for a recording; ranks write beside each other."""
    name = "" if rank is None else f".rank{rank}"
    if path is None:
        return new_recording(Path(), f"{Path(script).stem}{name}.py")
    return path.with_name(f"{path.stem}{name}{path.suffix}")


def _joined(recorder: Recorder | None, listeners: Sequence[Listener]) -> Watching:
    """Without a recording of its own: in that of a run, or in none."""
    if recorder is None:
        recorder = Recorder(Store())
        recorder.closed = True
    else:
        for each in listeners:
            recorder.add_listener(each)
    return Watching(recorder, own=False)


def _nothing(path: Path) -> None:
    """A recording that tells of no step."""
    store = Store(path)
    store.run(kind="flight", outcome="not-examined")
    store.close()


def _codes(selectors: Iterable[str]) -> frozenset[str]:
    words = [part.strip() for each in selectors for part in each.split(",") if part.strip()]
    if not words:
        return frozenset()
    from dnndoctor.registry import load_rules
    from dnndoctor.select import UnknownSelector, known

    try:
        return frozenset(each.code for word in words for each in known(word, load_rules().values()))
    except UnknownSelector as why:
        raise BadInput(f"stop_on: {why}") from None


def checked_overhead(share: float) -> float:
    """Raises BadInput for what is no share of the time; 1 and more is everything in every step."""
    if not share > 0:
        raise BadInput(f"overhead is {share}: give a share of the time above 0, such as 0.01 for one percent")
    return float("inf") if share >= MOST_OVERHEAD else float(share)


def _several(value: Any, kind: type, name: str) -> tuple[Any, ...]:
    listed = () if value is None else (value,) if isinstance(value, kind) else tuple(value)
    wrong = next((each for each in listed if not isinstance(each, kind)), None)
    if wrong is not None:
        raise BadInput(f"{name} is a {type(wrong).__name__}: give a {kind.__module__}.{kind.__name__}, or several")
    return listed


def _inner(optimizer: Optimizer) -> Optimizer:
    """The one that steps: Accelerate's holds it, and is an optimizer by name only."""
    held = getattr(optimizer, "optimizer", None)
    return _inner(held) if isinstance(held, Optimizer) else optimizer


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "finished"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "exception"
