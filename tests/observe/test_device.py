"""The host's memory as this process may use it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest

from dnndoctor.observe import device

GIB = 2**30
MEMINFO = "MemTotal:       65536000 kB\n"


def files(monkeypatch: pytest.MonkeyPatch, there: Mapping[str, str]) -> None:
    def opened(path: str, **_: Any) -> io.StringIO:
        if path not in there:
            raise FileNotFoundError(path)
        return io.StringIO(there[path])

    monkeypatch.setattr(device, "open", opened, raising=False)


def test_what_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    files(monkeypatch, {"/proc/meminfo": MEMINFO, "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n"})
    assert device.host_limit_bytes() == 65536000 * 1024


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/\n", "/sys/fs/cgroup/memory.max"),  # a container sees its own group as the root
        ("0::/slurm/job7/step0\n", "/sys/fs/cgroup/slurm/job7/memory.max"),  # of a batch system's, the job's
        ("0::/user.slice/session\n", "/sys/fs/cgroup/user.slice/session/memory.max"),
        ("4:cpu,memory:/job7\n0::/\n", "/sys/fs/cgroup/memory/job7/memory.limit_in_bytes"),
        ("4:memory:/elsewhere\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        ("0::/../outside\n", "/sys/fs/cgroup/memory.max"),
    ],
)
def test_the_narrowest_limit_around_the_process_counts(monkeypatch: pytest.MonkeyPatch, groups: str, file: str) -> None:
    files(monkeypatch, {"/proc/meminfo": MEMINFO, "/proc/self/cgroup": groups, file: f"{4 * GIB}\n"})
    assert device.host_limit_bytes() == 4 * GIB


def test_a_group_that_is_not_the_process_s_own_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"/sys/fs/cgroup/slurm/job8/memory.max": f"{GIB}\n"}
    files(monkeypatch, {"/proc/meminfo": MEMINFO, "/proc/self/cgroup": "0::/slurm/job7\n", **other})
    assert device.host_limit_bytes() == 65536000 * 1024


def test_a_system_without_any_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    files(monkeypatch, {})
    assert device.host_limit_bytes() is None
