"""Judges a recording while another process writes it: for ``dnndoctor.watch``, whose training it must not delay.

A process of its own, without torch. The two speak through files in one folder, since either may end at any time.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from dnndoctor.config import load
from dnndoctor.flights import Live, write_report

LOOK_EVERY = 0.1  # seconds
STOP, REPORT, CLOSED = "stop", "report", "closed"  # names of files: the first is made here, the others are made for us
NICE = 10


class CompanionJob(msgspec.Struct, frozen=True, kw_only=True):
    """``recording``: what to judge; ``folder``: of the files; ``stop_on``: codes; ``parent``: who trains."""

    recording: str
    folder: str
    stop_on: tuple[str, ...]
    parent: int


class _Followed:
    """The training in the other process."""

    def __init__(self, job: CompanionJob) -> None:
        self._job = job

    @property
    def recordings(self) -> Sequence[Path]:
        """The one of that process."""
        return [Path(self._job.recording)]

    def stop(self) -> None:
        """It looks for this file."""
        Path(self._job.folder, STOP).touch()


def main(job_file: str) -> None:
    """Follow until the training ends, and judge a last time then."""
    job = msgspec.json.decode(Path(job_file).read_bytes(), type=CompanionJob)
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICE)
    settings = load(Path())
    live, followed = Live(settings, job.stop_on, quiet=False), _Followed(job)
    asked = Path(job.folder, REPORT)
    while True:
        over = Path(job.folder, CLOSED).exists() or os.getppid() != job.parent
        if asked.exists():
            asked.unlink(missing_ok=True)
            write_report(followed, settings, settings.html_path)
        if over:
            live.judge(followed)
            return
        live.look(followed)
        time.sleep(LOOK_EVERY)
