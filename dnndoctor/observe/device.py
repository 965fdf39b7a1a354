"""The accelerator behind one small door: name, synchronisation, memory. On the CPU all of it is nothing."""

from __future__ import annotations

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
