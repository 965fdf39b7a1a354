"""In a Python that ``dnndoctor run`` started, or that its program started: record it once its optimizer steps."""

from __future__ import annotations

import atexit
import contextlib
import functools
import multiprocessing.util
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec

from dnndoctor.recorder import current, facts
from dnndoctor.recorder.black_box import BlackBox
from dnndoctor.recorder.construction import note_construction
from dnndoctor.recorder.hooks import install
from dnndoctor.recorder.ranks import Witness, rank_and_world
from dnndoctor.recorder.recorder import Recorder
from dnndoctor.recorder.store import Store
from dnndoctor.subject.flight_job import FlightJob, recording_name, stop_file
from dnndoctor.subject.follow import spare_loading_workers, wrap_targets

MOST_PARTS = 50  # trainings of one program, one after another


def begin() -> None:
    """Hang the recorder; no file is made unless an optimizer makes a step here."""
    job = msgspec.json.decode(Path(os.environ["DNNDOCTOR_FLIGHT"]).read_bytes(), type=FlightJob)
    _Flight(job).attend()


class _Flight:
    """One process from its first step to its end."""

    def __init__(self, job: FlightJob) -> None:
        self._job = job
        self._error: BaseException | None = None
        self._part = 0
        self._recorder = self._recorded(None)

    def _recorded(self, before: Recorder | None) -> Recorder:
        """A recorder that is installed; ``before``: of a training of the same program that is over."""
        recorder = Recorder(Store(limit_bytes=self._job.max_bytes), overhead=self._job.overhead)
        if before is not None:
            recorder.known = before.known
        installed = install(recorder)
        note_construction(installed, recorder.known)
        BlackBox(recorder, keep_batches=self._job.keep_batches).install(installed)
        current.follow(recorder)
        recorder.on_begin = self._begin
        recorder.on_change = self._next
        self._installed = installed
        return recorder

    def _next(self) -> Recorder:
        """The program trains something else now: that is another recording, whose steps begin anew."""
        before = self._recorder
        if self._part >= MOST_PARTS:
            before.on_change = None
            return before
        before.store.run(followed=True)
        before.close("finished")
        self._installed.remove()
        self._recorder = self._recorded(before)
        return self._recorder

    def attend(self) -> None:
        """See the first step, what is raised, and the end, however it comes."""
        atexit.register(self._close)
        multiprocessing.util.Finalize(None, self._close, exitpriority=100)  # where multiprocessing ends it, not atexit
        wrap_targets(lambda run: functools.partial(self._run, run))
        spare_loading_workers()
        leave = os._exit

        def _exit(status: int) -> NoReturn:
            self._close()
            leave(status)

        os._exit = _exit
        with contextlib.suppress(ValueError, AttributeError):  # in another thread, or on another system
            if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
                signal.signal(signal.SIGUSR1, self._asked)

    def _begin(self) -> None:
        self._recorder.on_begin = lambda: None  # another optimizer of the same training may lead later
        self._part += 1
        rank, world = rank_and_world()
        path = recording_name(self._job, rank if world > 1 else None)
        self._recorder.store.open(path)
        facts.begin(
            self._recorder,
            script=self._job.script,
            args=list(self._job.args),
            launch=self._job.launch,
            part=self._part,
            rank=rank,
            world=world,
        )
        self._recorder.store.at_intervals = self._look_for_stop
        if world > 1:
            Witness(self._recorder)

    def _look_for_stop(self) -> None:
        if os.path.exists(stop_file(self._job)):
            self._recorder.stopping = True
            self._recorder.store.at_intervals = lambda: None

    def _asked(self, number: int, _frame: object) -> None:
        """Whoever signals the training means us: pass it on to the process that reports."""
        with contextlib.suppress(OSError):
            os.kill(self._job.parent, number)

    def _run(self, run: Callable[[], None]) -> None:
        """The function of a process of multiprocessing's, which catches what that raises."""
        try:
            run()
        except SystemExit as leave:
            self._error = leave.__context__  # torch's own launcher has caught it, and leaves
            raise
        except BaseException as error:
            self._error = error
            raise

    def _close(self) -> None:
        # The interpreter keeps what it is about to print there, whoever has replaced sys.excepthook.
        error = self._error or getattr(sys, "last_value", None)
        interrupted = isinstance(error, KeyboardInterrupt)
        self._recorder.close("interrupted" if interrupted else "exception" if error else "finished", error)
