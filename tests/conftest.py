"""What all tests share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Check = Callable[..., dict[str, Any]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with the marker ``accelerator`` need one."""
    marked = [item for item in items if item.get_closest_marker("accelerator")]
    if marked and not _accelerator():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="this machine has no accelerator"))


def _accelerator() -> bool:
    import torch

    return bool(torch.accelerator.is_available())


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Examine a script given as text, for real, and give the JSON report."""

    def run(source: str, *options: str, args: tuple[str, ...] = (), name: str = "train.py") -> dict[str, Any]:
        (tmp_path / name).write_text(source)
        command = [sys.executable, "-m", "dnndoctor", "check", name, "--output-format", "json", "--html", "none", "-q"]
        after = ["--", *args] if args else []
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, *options, *after], cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
        )
        assert done.stdout, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report | {"exit": done.returncode, "stderr": done.stderr, "folder": tmp_path}

    return run
