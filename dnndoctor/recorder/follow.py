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


def begin() -> None:
    """Hang the recorder; no file is made unless an optimizer makes a step here."""
    job = msgspec.json.decode(Path(os.environ["DNNDOCTOR_FLIGHT"]).read_bytes(), type=FlightJob)
    store = Store(limit_bytes=job.max_bytes)
    recorder = Recorder(store, overhead=job.overhead)
    installed = install(recorder)
    note_construction(installed, recorder.known)
    BlackBox(recorder, keep_batches=job.keep_batches).install(installed)
    current.follow(recorder)
    _Flight(job, recorder).attend()


class _Flight:
    """One process from its first step to its end."""

    def __init__(self, job: FlightJob, recorder: Recorder) -> None:
        self._job, self._recorder = job, recorder
        self._error: BaseException | None = None
        self._begun = False

    def attend(self) -> None:
        """See the first step, what is raised, and the end, however it comes."""
        self._recorder.on_begin = self._begin
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
        if self._begun:
            return  # another optimizer leads now: one recording holds it all
        self._begun = True
        rank, world = rank_and_world()
        path = recording_name(self._job, rank if world > 1 else None)
        self._recorder.store.open(path)
        facts.begin(
            self._recorder,
            script=self._job.script,
            args=list(self._job.args),
            launch=self._job.launch,
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
