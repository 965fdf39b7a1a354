"""What all tests share."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.zygote import Zygote

# Before torch is imported: tensors here are tiny, and two workers with two threads each wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Where the suite was started in the background Ctrl-C is ignored, and it would be by all programs that tests interrupt.
with contextlib.suppress(ValueError):  # not in the main thread
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

Check = Callable[..., dict[str, Any]]
TIMEOUT = 300.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with the marker ``accelerator`` need one."""
    marked = [item for item in items if item.get_closest_marker("accelerator")]
    if marked and not _accelerator():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="this machine has no accelerator"))


def _accelerator() -> bool:
    import torch

    return bool(torch.accelerator.is_available())


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """One process with torch imported for all examinations of a worker."""
    one = Zygote()
    yield one
    one.close()


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Examine a script given as text, for real, and give the JSON report."""

    def start(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dnndoctor", *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)

    return _checking(start, tmp_path)


@pytest.fixture
def quick_check(zygote: Zygote, tmp_path: Path) -> Check:
    """The same from the zygote."""
    return _checking(lambda *options: zygote.run(*options, cwd=tmp_path, timeout=TIMEOUT), tmp_path)


# Tests of how a program is held need no more. A test that names its probes, or has none, gets what it names.
USUAL_PROBES = ("--only-probe", "learning-rate", "--only-probe", "batch-size")


def probing(options: tuple[str, ...]) -> tuple[str, ...]:
    """The options, with the usual probes where they say nothing of probes."""
    said = any(each in options for each in ("--no-probes", "--only-probe", "--all-probes"))
    return tuple(each for each in options if each != "--all-probes") + (() if said else USUAL_PROBES)


def _checking(start: Callable[..., subprocess.CompletedProcess[str]], folder: Path) -> Check:
    def run(source: str, *options: str, args: tuple[str, ...] = (), name: str = "train.py") -> dict[str, Any]:
        (folder / name).write_text(source)
        after = ["--", *args] if args else []
        done = start("check", name, "--output-format", "json", "--html", "none", "-q", *probing(options), *after)
        assert done.stdout, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report | {"exit": done.returncode, "stderr": done.stderr, "folder": folder}

    return run
