"""What ``dnndoctor run`` and the processes that it records agree on."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import msgspec


class FlightJob(msgspec.Struct, frozen=True, kw_only=True):
    """``recording``: the path of the first one; ``overhead`` is a share; ``scratch``: a folder of ours.

    ``launch``: the same for all processes that were started together, also where each has a parent of its own.
    """

    script: str
    args: tuple[str, ...]
    recording: str
    overhead: float
    max_bytes: int
    scratch: str
    parent: int
    launch: str = ""
    keep_batches: bool = False


def stop_file(job: FlightJob) -> str:
    """It is there as soon as the training is to end."""
    return os.path.join(job.scratch, "stop")


def recording_name(job: FlightJob, rank: int | None) -> Path:
    """A recording that no other process has: of its rank, or the next free one; listed in the scratch folder."""
    path = Path(job.recording)
    stem = path.stem if rank is None else f"{path.stem}.rank{rank}"
    names = (f"{stem}{path.suffix}" if n == 1 else f"{stem}-{n}{path.suffix}" for n in count(1))
    for name in names:
        chosen = path.with_name(name)
        try:
            os.close(os.open(chosen, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            continue
        with open(os.path.join(job.scratch, f"recording-{os.getpid()}"), "a", encoding="utf-8") as file:
            file.write(f"{chosen}\n")
        return chosen
    raise AssertionError


def recordings(job: FlightJob) -> list[Path]:
    """All that were begun, in the order of their names."""
    lists = [each.read_text(encoding="utf-8") for each in Path(job.scratch).glob("recording-*")]
    return sorted(Path(line) for each in lists for line in each.splitlines())
