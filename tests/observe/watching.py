"""Loops examined in this very process: hooks put up, the loop run, hooks taken down, the recording read back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch._C import _get_function_stack_at, _len_torch_function_stack

from dnndoctor.observe.watch import Watch
from dnndoctor.probes.clock import Stop
from dnndoctor.probes.conductor import Conductor
from dnndoctor.recording.reader import Row, Rows, read
from dnndoctor.recording.writer import Writer
from dnndoctor.subject import hooks

EVER = 1_000_000  # steps: the loop ends by itself


def modes() -> list[Any]:
    """The function modes of this thread, the innermost last."""
    return [_get_function_stack_at(i) for i in range(_len_torch_function_stack())]


@dataclass
class Examination:
    """One loop under watch, and once it is over what was recorded of it."""

    watch: Watch
    conductor: Conductor
    installed: Any
    path: Path
    reports: list[tuple[str, int, int]]
    stopped: str | None = None
    rows: Rows = field(default_factory=lambda: Rows({}))

    @property
    def losses(self) -> list[float]:
        """Of the watched steps."""
        return [row["loss"] for row in self.rows["step"]]

    @property
    def rates(self) -> list[float]:
        """Of the watched steps."""
        return [row["learning_rate"] for row in self.rows["step"]]

    def passes(self, gradients: bool = True) -> list[Row]:
        """The groups of passes with or without gradients."""
        return [row["facts"] for row in self.rows["pass"] if row["facts"]["gradients"] is gradients]

    def made(self, name: str) -> list[Row]:
        """The operations of this name."""
        return [row for row in self.rows["operation"] if row["name"] == name]


@contextmanager
def watching(
    path: Path,
    *,
    steps: int = EVER,
    probes: bool = False,
    seconds: float = 60.0,
    sound: bool = True,
    only: tuple[str, ...] = (),
) -> Iterator[Examination]:
    """Watch what runs inside, until it ends or is stopped.

    ``sound``: nothing of ours may break meanwhile. ``only``: of the probes these alone, if any are named.
    """
    reports: list[tuple[str, int, int]] = []
    file = path / f"{len(list(path.iterdir()))}.dnnrec"
    writer = Writer(str(file))
    watch = Watch(writer)
    deadline = time.monotonic() + seconds
    conductor = Conductor(
        watch,
        steps=steps,
        probes=probes,
        only_probes=only,
        deadline=deadline,
        report=lambda *told: reports.append(told),
    )
    installed = hooks.install(watch, conductor)
    enter: Callable[[], object] = watch.forward.__enter__
    enter()
    examination = Examination(watch, conductor, installed, file, reports)
    try:
        yield examination
    except Stop as stop:
        examination.stopped = str(stop)
    finally:
        watch.forward.active = watch.observing = False
        try:
            watch.passes.step()
            if watch.step and watch.failure is None:
                conductor.finish()
            watch.flush()
        finally:
            installed.remove()
            watch.forward.before_use = None
            watch.forward.release()  # no test that fails may leave it to those after it
            writer.close()
    examination.rows = read(file)
    if sound:
        assert watch.failure is None, watch.failure


def examine(path: Path, loop: Callable[[], Any], **options: Any) -> Examination:
    """The loop, watched from its start."""
    with watching(path, **options) as examination:
        loop()
    return examination
