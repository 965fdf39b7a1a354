"""The fixtures, as parameters of tests, and what their comments say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parent.parent / "fixtures"
EXPECT = re.compile(r"#\s*expect:\s*([A-Z]{3}\d{3}(?:\s*,\s*[A-Z]{3}\d{3})*)")
PROBES = re.compile(r"^# probes: (.+)$", re.MULTILINE)
STEPS = re.compile(r"^# steps: (\d+)$", re.MULTILINE)
LOOP = re.compile(r"^# loop: (.+)$", re.MULTILINE)
# Steps of four seconds, and of threads that wait for each other: what is seen of them in less time must do.
BUDGET = {"digits_slow_steps": ("--budget", "45"), "digits_threads_of_another_machine": ("--budget", "10")}

# What every fixture goes through. The longer probes are tried where a script's comment names them.
QUICK_PROBES = ("learning-rate", "overfit-one-batch", "blanked-inputs", "entry-mixing", "schedule", "batch-size")


def options(script: Path) -> tuple[str, ...]:
    """The options with which a fixture is examined: its budget, its steps and its probes."""
    source = script.read_text(encoding="utf-8")
    named, steps = PROBES.search(source), STEPS.search(source)
    probes = (*QUICK_PROBES, *(named.group(1).split() if named else ()))
    watched = ("--steps", steps.group(1)) if steps else ()
    return (*(part for each in probes for part in ("--only-probe", each)), *watched, *BUDGET.get(script.stem, ()))


def scripts(kind: str) -> list[Any]:
    """The fixtures of a folder, by name."""
    return [pytest.param(path, id=path.stem) for path in sorted((FIXTURES / kind).glob("*.py"))]


HEALTHY, SICK = scripts("healthy"), scripts("sick")


def of(name: str) -> Any:
    """One fixture."""
    return next(each for each in (*HEALTHY, *SICK) if each.id == name)


def expected(script: Path) -> set[tuple[str, int]]:
    """The codes and lines that the comments of a script name."""
    pairs = set()
    for number, line in enumerate(script.read_text(encoding="utf-8").splitlines(), start=1):
        match = EXPECT.search(line)
        if match:
            pairs |= {(code.strip(), number) for code in match.group(1).split(",")}
    return pairs


def loop(script: Path) -> dict[str, str]:
    """What the script's comment says of its loop: model, optimizer, loss, family, loader."""
    found = LOOP.search(script.read_text(encoding="utf-8"))
    return dict(each.split("=", 1) for each in found.group(1).split()) if found else {}
