"""How often a verdict flips: fixtures are examined again and again, with the same seeds and with others.

    python tests/benchmarks/flip_rate.py [--every 5] [--first 0] [--seeds 3]

A flip is a run whose verdict (exit code with ``--fail-on error``, and with ``--fail-on warning``) is not the median's.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.examination import examine
from dnndoctor.findings import Finding, Severity
from dnndoctor.median import median
from dnndoctor.subject.program import locate
from tests.fixture_scripts import FIXTURES, options


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=5, help="take each n-th fixture")
    parser.add_argument("--first", type=int, default=0, help="beginning with this one")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    scripts = sorted(FIXTURES.glob("sick/*.py")) + sorted(FIXTURES.glob("healthy/*.py"))
    same: list[list[Diagnosis]] = []
    other: list[list[Diagnosis]] = []
    for script in scripts[given.first :: given.every]:
        runs = [_examined(script, shift) for shift in range(given.seeds)]
        again = _examined(script, 0)
        other.append(runs)
        same.append([runs[0], again])
        said = "".join(
            f"\n    {note}" for note in median([*runs, again], len(runs) + 1).run.notes if " came in " in note
        )
        print(f"{script.parent.name}/{script.stem}: {[_worst(each) for each in [*runs, again]]}{said}", flush=True)
    for name, groups in (("same seeds", same), ("other seeds", other)):
        for limit in (Severity.ERROR, Severity.WARNING):
            print(_summary(name, groups, limit))


def _examined(script: Path, shift: int) -> Diagnosis:
    named = options(script)
    probes = tuple(value for option, value in itertools.pairwise(named) if option == "--only-probe")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(script, folder)
        with _inside(folder):
            return examine(locate(script.name), (), Settings(only_probes=probes), seed_shift=shift)


@contextlib.contextmanager
def _inside(folder: str) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _worst(run: Diagnosis) -> str:
    return str(min((each.severity or Severity.INFO for each in run.findings), key=lambda s: s.rank, default="-"))


def _rank(finding: Finding) -> int:
    return (finding.severity or Severity.INFO).rank


def _summary(name: str, groups: list[list[Diagnosis]], limit: Severity) -> str:
    verdicts = [[any(_rank(f) <= limit.rank for f in run.findings) for run in runs] for runs in groups]
    flipped = [runs for runs in verdicts if len(set(runs)) > 1]
    single = sum(min(sum(runs), len(runs) - sum(runs)) for runs in flipped)
    return (
        f"{name}, --fail-on {limit}: {len(flipped)} of {len(groups)} fixtures flip, "
        f"{single} of {sum(map(len, verdicts))} runs differ from the median"
    )


if __name__ == "__main__":
    main()
