"""Whether a launcher such as ``torchrun`` has started us, once for each rank. Imports no torch."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

TOGETHER = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT", "SLURM_JOB_ID")


def own_rank(environment: Mapping[str, str] = os.environ) -> int | None:
    """The rank that this very process was started as; None where it is not one of several."""
    rank, world = environment.get("RANK", ""), environment.get("WORLD_SIZE", "")
    return int(rank) if rank.isdigit() and world.isdigit() and int(world) > 1 else None


def launch_name(environment: Mapping[str, str] = os.environ) -> str:
    """A name that all ranks find alike, and no other launch has; of a single process a name of its own."""
    if own_rank(environment) is None:
        return uuid.uuid4().hex[:12]
    known = [environment.get(each, "") for each in TOGETHER]
    if environment.get("LOCAL_WORLD_SIZE") == environment.get("WORLD_SIZE"):  # ports are used again, processes are not
        known.append(_started(os.getppid()))
    return hashlib.blake2b("\0".join(known).encode(), digest_size=6).hexdigest()


def _started(pid: int) -> str:
    """The process, and when it was started."""
    try:
        return f"{pid} {Path(f'/proc/{pid}/stat').read_bytes().rpartition(b')')[2].split()[19].decode()}"
    except OSError:
        return str(pid)
