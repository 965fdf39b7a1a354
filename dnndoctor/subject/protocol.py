"""What parent and child say to each other: one job in, progress lines out. Imports no torch."""

from __future__ import annotations

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is to do; handed over as a JSON file.

    ``recording``: path of the SQLite file that the child writes. ``scratch``: a folder of ours, outside of the
    working directory, thrown away at the end. ``deadline``: ``time.monotonic()`` of the parent (one clock for
    all processes of a machine) by which the child stops by itself.
    """

    script: str
    args: tuple[str, ...] = ()
    cwd: str
    recording: str
    scratch: str
    progress_fd: int
    deadline: float
    steps: int = 50
    probes: bool = True
    seed: int | None = None
    family: str | None = None
    keep_files: bool = False


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of JSON from the child on ``progress_fd``.

    ``phase``: "start" (imports and set-up), "observe", "learning-rate", "batch-size", "evaluate", "finish".
    ``step`` of ``total`` in that phase, where known. The last line of a child that ended in an orderly way has
    phase "end" and an ``ending`` (see ``Ending``).
    """

    phase: str
    step: int = 0
    total: int = 0
    ending: Ending | None = None


class Ending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the script ended, as the child saw it.

    ``kind``: "stopped" (we stopped it, all was done), "finished" (it ran to its end), "budget" (we stopped it as
    the time was up), "exit" (``sys.exit``), "exception", "interrupted", "failed" (our watch did). ``message``: one
    line for people ("ValueError: ..."), ``file``/``line``: the user's line that it came from. ``code``: exit code.
    ``steps``: the optimizer steps that were recorded.
    """

    kind: str
    message: str = ""
    file: str | None = None
    line: int | None = None
    code: int = 0
    steps: int = 0
