"""What parent and child say to each other: one job in, progress lines out. Imports no torch."""

from __future__ import annotations

import msgspec

from dnndoctor.subject.given import Given
from dnndoctor.subject.program import Program

LEAD = "lead.json"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is to do; handed over as a JSON file.

    ``recording``: path of the SQLite file that the child writes. ``scratch``: a folder of ours, outside of the
    working directory, thrown away at the end. ``progress``: path of the named pipe that takes the progress lines.
    ``parent``: the process that waits for the child. ``deadline``: ``time.monotonic()`` of the parent (one clock for
    all processes of a machine) by which the child stops by itself. ``seed_shift``: how much higher all seeds are set.
    """

    program: Program
    args: tuple[str, ...] = ()
    cwd: str
    recording: str
    scratch: str
    progress: str
    parent: int
    deadline: float
    steps: int = 50
    probes: bool = True
    only_probes: tuple[str, ...] = ()
    seed: int | None = None
    seed_shift: int = 0
    family: str | None = None
    keep_files: bool = False
    given: Given = Given()

    @property
    def script(self) -> str:
        """The file that holds the program."""
        return self.program.path


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of JSON from the child.

    ``phase``: "start" (imports and set-up), "observe", the names of probes, "evaluate",
    "finish".
    ``step`` of ``total`` in that phase, where known. ``pid``: of the process that tells; it is not always the one that
    was started. The last line of a process that ended in an orderly way has phase "end" and an ``ending``.
    """

    phase: str
    step: int = 0
    total: int = 0
    pid: int = 0
    ending: Ending | None = None


class Ending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the script ended, as the child saw it.

    ``kind``: "stopped" (we stopped it, all was done), "finished" (it ran to its end), "budget" (we stopped it as
    the time was up), "exit" (``sys.exit``), "exception", "interrupted", "failed" (our watch did). ``message``: one
    line for people ("ValueError: ..."), ``file``/``line``: the user's line that it came from. ``code``: exit code.
    ``steps``: the optimizer steps that were recorded. ``wants_world``: it asked for what ``torchrun`` would have set.
    ``launched``: the last Python program that the script started, as a command line. ``explained``: what the loss
    was given when it raised is in the recording.
    """

    kind: str
    message: str = ""
    file: str | None = None
    line: int | None = None
    code: int = 0
    steps: int = 0
    wants_world: bool = False
    launched: str = ""
    explained: bool = False


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """The process whose training is examined: the first that made an optimizer step. Written by it, once.

    ``company``: which other processes take part in its training, if any; ``own``: it is the script's first process.
    """

    pid: int
    recording: str
    own: bool
    company: str | None = None
