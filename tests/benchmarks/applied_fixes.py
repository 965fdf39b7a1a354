"""What applied fixes gain: each script is examined, patched, examined again, and both are run bare to their end.

    python tests/benchmarks/applied_fixes.py fixtures/sick/digits_*.py

Counted are scripts whose patched findings are gone, with nothing new, and those whose last printed figure is better
than before: a score (accuracy, F1, R2, AUC) if they print one, else the loss on held-out data, else the training loss.
Where only a loss is printed and the patch may change how it is defined, the script is marked with "?" and not counted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).parents[2]))

from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.examination import examine
from dnndoctor.findings import Severity
from dnndoctor.fixes import offer
from dnndoctor.postmortem.names import HELD_OUT, TRAINING, Role, held_out, parts, role
from dnndoctor.postmortem.readers.text import figures
from dnndoctor.subject.program import locate

SCORES = frozenset("acc accuracy auc f1 r2 map iou dice bleu score correct".split())
ERRORS = frozenset("mse rmse mae error err bpc ppl perplexity".split())
REDEFINING = ("LOS", "DAT")  # their patches change what the loss is taken of


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scripts", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=120.0, help="for each bare run")
    given = parser.parse_args()
    gone, better, compared, patched = 0, 0, 0, 0
    for script in given.scripts:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(script.parent, folder, dirs_exist_ok=True, ignore=_other_scripts(script))
            os.chdir(folder)
            before = examine(locate(script.name), (), Settings())
            codes = _patch(before, Path(folder), script)
            if not codes:
                print(f"{script.stem}: no edit for {sorted(_faults(before))}", flush=True)
                continue
            patched += 1
            after = examine(locate(script.name), (), Settings())
            left, new = _faults(after) & codes, _faults(after) - _faults(before)
            gone += not left and not new
            old = _last_figure(_printed(script, given.seconds))
            mended = _last_figure(_printed(Path(folder, script.name), given.seconds))
            print(f"{script.stem}: patched {sorted(codes)}, left {sorted(left)}, new {sorted(new)}; ", end="")
            if old is None or mended is None or old[0] != mended[0]:
                print("prints no figure to compare", flush=True)
                continue
            name, rises = old[0]
            gained = mended[1] > old[1] if rises else mended[1] < old[1] or old[1] != old[1]
            loose = not rises and any(each.startswith(REDEFINING) for each in codes)
            compared, better = compared + (not loose), better + (gained and not loose)
            print(f"{name} {old[1]:.4g} -> {mended[1]:.4g}{' ?' if loose else '' if gained else ' <<<'}", flush=True)
    print(f"{patched} patched: findings gone and nothing new in {gone}; last figure better in {better} of {compared}")


def _other_scripts(script: Path):  # type: ignore[no-untyped-def]
    def ignored(folder: str, names: list[str]) -> list[str]:
        at_top = Path(folder) == script.parent
        return [each for each in names if at_top and each.endswith(".py") and each != script.name]

    return ignored


def _faults(diagnosis: Diagnosis) -> set[str]:
    return {each.rule for each in diagnosis.findings if each.severity is not Severity.INFO}


def _patch(diagnosis: Diagnosis, folder: Path, script: Path) -> set[str]:
    """Apply every edit; gives the rules whose findings it is to mend."""
    offered, files = offer.patch(diagnosis, folder, unsafe=True)
    if not offered.text or offer.apply(offered, files, folder):
        return set()
    return {each.finding.rule for each in offered.made} & _faults(diagnosis)


def _printed(script: Path, seconds: float) -> str:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(script.parent, folder, dirs_exist_ok=True)
        try:
            run = subprocess.run(
                [sys.executable, script.name], cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
            )
            return run.stdout
        except subprocess.TimeoutExpired as late:
            out = late.stdout or b""
            return out.decode(errors="replace") if isinstance(out, bytes) else out


def _last_figure(text: str) -> tuple[tuple[str, bool], float] | None:
    """The figure to go by, whether it should rise, and the mean of its last three values (of five at least)."""
    values: dict[str, list[float]] = {}
    for line in text.splitlines():
        for name, value in figures(line):
            values.setdefault(name, []).append(value)
    scores = [name for name in values if SCORES & set(parts(name))]
    losses = [
        name
        for name in values
        if role(name) in (Role.LOSS, Role.VALIDATION_LOSS) or {*ERRORS, *TRAINING, *HELD_OUT} & set(parts(name))
    ]
    chosen = next(iter(sorted(scores, key=lambda name: not held_out(name))), None)
    chosen = chosen or next(iter(sorted(losses, key=lambda name: not held_out(name))), None)
    if chosen is None:
        return None
    found = values[chosen]
    return (chosen, chosen in scores), fmean(found[-3:] if len(found) >= 5 else found[-1:])


if __name__ == "__main__":
    main()
