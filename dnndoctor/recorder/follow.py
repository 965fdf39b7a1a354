"""In a Python that ``dnndoctor run`` started, or that its program started: record it once its optimizer steps."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing.util
import os
import signal
import sys
from pathlib import Path
from types import TracebackType

import msgspec

from dnndoctor.recorder import current, facts
from dnndoctor.recorder.construction import note_construction
from dnndoctor.recorder.hooks import install
from dnndoctor.recorder.recorder import Recorder
from dnndoctor.recorder.store import Store
from dnndoctor.subject.flight_job import FlightJob, recording_name, stop_file

RANK, WORLD = "RANK", "WORLD_SIZE"  # as torchrun sets them


def begin() -> None:
    """Hang the recorder; no file is made unless an optimizer makes a step here."""
    job = msgspec.json.decode(Path(os.environ["DNNDOCTOR_FLIGHT"]).read_bytes(), type=FlightJob)
    store = Store(limit_bytes=job.max_bytes)
    recorder = Recorder(store, overhead=job.overhead)
    installed = install(recorder)
    note_construction(installed, recorder.known)
    current.follow(recorder)
    _Flight(job, recorder).attend()


class _Flight:
    """One process from its first step to its end."""

    def __init__(self, job: FlightJob, recorder: Recorder) -> None:
        self._job, self._recorder = job, recorder
        self._hook = sys.excepthook
        self._error: BaseException | None = None

    def attend(self) -> None:
        """See the first step, what is raised, and the end."""
        self._recorder.on_begin = self._begin
        sys.excepthook = self._raised
        atexit.register(self._close)
        multiprocessing.util.Finalize(None, self._close, exitpriority=100)  # where multiprocessing ends it, not atexit
        with contextlib.suppress(ValueError, AttributeError):  # in another thread, or on another system
            if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
                signal.signal(signal.SIGUSR1, self._asked)

    def _begin(self) -> None:
        rank, world = _number(RANK), _number(WORLD)
        path = recording_name(self._job, rank if world and world > 1 else None)
        self._recorder.store.open(path)
        facts.begin(self._recorder, script=self._job.script, args=list(self._job.args), rank=rank, world=world)
        self._recorder.store.at_intervals = self._look_for_stop

    def _look_for_stop(self) -> None:
        if os.path.exists(stop_file(self._job)):
            self._recorder.stopping = True
            self._recorder.store.at_intervals = lambda: None

    def _asked(self, number: int, _frame: object) -> None:
        """Whoever signals the training means us: pass it on to the process that reports."""
        with contextlib.suppress(OSError):
            os.kill(self._job.parent, number)

    def _raised(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self._error = error
        self._hook(kind, error, trace)

    def _close(self) -> None:
        error = self._error
        interrupted = isinstance(error, KeyboardInterrupt)
        self._recorder.close("interrupted" if interrupted else "exception" if error else "finished", error)


def _number(name: str) -> int | None:
    value = os.environ.get(name, "")
    return int(value) if value.isdigit() else None
