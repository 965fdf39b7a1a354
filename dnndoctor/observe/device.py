"""The accelerator behind one small door: name, synchronisation, memory. On the CPU all of it is nothing."""

from __future__ import annotations

import os
import sys

import torch


def available() -> bool:
    """Whether this machine has an accelerator that torch can use."""
    return bool(torch.accelerator.is_available())


def name() -> str | None:
    """The accelerator's name, None if there is none."""
    if not available():
        return None
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    current = torch.accelerator.current_accelerator()
    return str(current) if current is not None else None


def synchronize() -> None:
    """Wait for the accelerator; for probes that time, never on the watch's way."""
    if available():
        torch.accelerator.synchronize()


def reset_peak() -> None:
    """Start counting peak memory anew."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_bytes() -> float | None:
    """Peak memory since ``reset_peak``, in bytes; None on the CPU."""
    return float(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else None


def free_bytes() -> float | None:
    """Free memory of the accelerator, in bytes; None on the CPU."""
    return float(torch.cuda.mem_get_info()[0]) if torch.cuda.is_available() else None


def peak_resident_bytes() -> int | None:
    """The largest resident set that this process has had, in bytes; None where the system does not tell."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def allocated_peak_bytes() -> int | None:
    """The most memory that tensors have taken on the accelerator since the start, in bytes; None on the CPU."""
    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else None


def total_bytes() -> int | None:
    """The accelerator's memory, in bytes; None on the CPU."""
    return int(torch.cuda.mem_get_info()[1]) if torch.cuda.is_available() else None


def host_limit_bytes() -> int | None:
    """What this process may take of the host's memory, in bytes: its control group's limit, or what there is."""
    found = [_number(each) for each in _limits(_control_group())]
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            found.append(next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemTotal")))
    except (OSError, StopIteration):
        pass
    known = [each for each in found if each is not None]
    return min(known, default=None)


def _control_group() -> str:
    """The group of this process below the root that it sees, as batch systems and services set it up: "/a/b"."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return "/"
    return next((path for _, kinds, path in lines if not kinds or "memory" in kinds.split(",")), "/")


def _limits(group: str) -> list[str]:
    """Files with the limits of the group and of all those around it, in both versions of control groups."""
    steps = [each for each in group.split("/") if each not in ("", "..")]
    around = ["/".join(["", *steps[:count]]) for count in range(len(steps) + 1)]
    new = [f"/sys/fs/cgroup{each}/memory.max" for each in around]
    return new + [f"/sys/fs/cgroup/memory{each}/memory.limit_in_bytes" for each in around]


def _number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):  # "max" is no limit
        return None


def cpus() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_tensor_cores() -> bool:
    """Whether the accelerator multiplies matrices in half precision many times faster."""
    return torch.cuda.is_available() and torch.cuda.get_device_capability() >= (7, 0)
