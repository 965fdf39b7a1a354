"""Has checkpoints read by a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

MOST = 24  # checkpoints that are read of a longer row: the first, the last, and some between
SECONDS = 300.0


def weights_of(paths: list[Path], seconds: float = SECONDS) -> tuple[list[dict[str, Any]], list[str]]:
    """What is in the checkpoints, in their order, and why one is not read."""
    asked = _spread(paths)
    left_out = len(paths) - len(asked)
    notes = [f"{len(asked)} of {len(paths)} checkpoints were read"] if left_out else []
    command = [sys.executable, "-m", "dnndoctor.postmortem.weights.child"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = child.communicate(json.dumps([str(each.absolute()) for each in asked]).encode(), timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        notes.append(f"reading the checkpoints took longer than {seconds:.0f} s; those read until then are judged")
    shown = {str(each.absolute()): str(each) for each in asked}
    found = []
    for line in out.decode("utf-8", "replace").splitlines():
        told = json.loads(line) if line.endswith("}") else {}
        whole = told.get("path", "")
        name = shown.pop(whole, "")
        if "problem" in told:
            notes.append(told["problem"].replace(whole, name))
        elif name:
            found.append(told | {"path": name})
    if shown and not any("took longer" in each for each in notes):
        last = err.decode("utf-8", "replace").strip().splitlines()[-1:] or ["its process ended"]
        notes.append(f"{next(iter(shown.values()))}: cannot be read ({last[0][:100]})")
    return found, notes


def _spread(paths: list[Path]) -> list[Path]:
    if len(paths) <= MOST:
        return paths
    return [paths[round(each * (len(paths) - 1) / (MOST - 1))] for each in range(MOST)]
