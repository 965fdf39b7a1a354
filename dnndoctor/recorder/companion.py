"""A process beside the training that judges what is recorded, started when there is a reason to."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from dnndoctor.companion import CLOSED, REPORT, STOP, CompanionJob
from dnndoctor.recorder.recorder import Recorder

ROOT = str(Path(__file__).resolve().parents[2])
CODE = "import sys; sys.path.append(sys.argv[1]); from dnndoctor.companion import main; main(sys.argv[2])"
LAST_JUDGEMENT = 10.0  # seconds that it may take at the end


class Companion:
    """``stop_on``: codes of rules whose findings end the training."""

    def __init__(self, recorder: Recorder, stop_on: Collection[str]) -> None:
        self._recorder, self._stop_on = recorder, tuple(sorted(stop_on))
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = ""
        self._pid = os.getpid()
        self._signaled = False

    def attend(self) -> None:
        """Be there for SIGUSR1, which asks for a report, where nobody else is."""
        with contextlib.suppress(ValueError, AttributeError):  # in another thread, or on another system
            if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
                signal.signal(signal.SIGUSR1, self._asked)
                self._signaled = True
        if self._stop_on:
            self.start()

    def start(self) -> None:
        """Let it judge from now on; where it cannot be started, the training goes on without."""
        if self._process is not None or os.getpid() != self._pid:
            return
        self._folder = tempfile.mkdtemp(prefix="dnndoctor-")
        job = CompanionJob(
            recording=str(self._recorder.store.path.absolute()),
            folder=self._folder,
            stop_on=self._stop_on,
            parent=self._pid,
        )
        job_file = Path(self._folder, "job.json")
        job_file.write_bytes(msgspec.json.encode(job))
        known = {key: value for key, value in os.environ.items() if not key.startswith("DNNDOCTOR")}
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", CODE, ROOT, str(job_file)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=known,
            )
        self._recorder.store.at_intervals = self._look_for_stop

    def ask(self) -> None:
        """A report is to be written now."""
        self.start()
        Path(self._folder, REPORT).touch()

    def close(self) -> None:
        """The training is over: let it judge what there is, and end."""
        if os.getpid() != self._pid:
            return
        with contextlib.suppress(ValueError):
            if self._signaled and signal.getsignal(signal.SIGUSR1) == self._asked:
                signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        process, self._process = self._process, None
        if process is not None:
            Path(self._folder, CLOSED).touch()
            try:
                process.wait(LAST_JUDGEMENT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _asked(self, _number: int, _frame: Any) -> None:
        with contextlib.suppress(OSError):
            self.ask()

    def _look_for_stop(self) -> None:
        if Path(self._folder, STOP).exists():
            self._recorder.stopping = True
            self._recorder.store.at_intervals = lambda: None
