"""What each probe costs: ``dnndoctor check`` on a few fixtures, seconds by probe.

Prints one row for each probe and one column for each script, and under them the steps that the trials made. Names of
fixtures may be given on the command line; ``--budget SECONDS`` first. Not a test: a shared machine cannot hold a timer
to a bound.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dnndoctor.probe_names import PROBES
from dnndoctor.recording.reader import Rows, read

FIXTURES = Path(__file__).parents[2] / "fixtures" / "healthy"
SCRIPTS = ("digits_mlp", "digits_dropout", "digits_resnet_zero_init", "digits_lstm_rows", "char_gpt")
AROUND = ("start", "observe", "evaluate", "finish")


def examined(name: str, budget: str) -> Rows:
    """The recording of an examination of this fixture."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(FIXTURES / f"{name}.py", folder)
        command = [sys.executable, "-m", "dnndoctor", "check", f"{name}.py", "--html", "none", "--budget", budget]
        subprocess.run(command, cwd=folder, capture_output=True, check=False, env={**os.environ})
        [recording] = Path(folder, ".dnndoctor").glob("*.dnnrec")
        return read(recording)


def outcome(rows: Rows, name: str) -> str:
    """The seconds of a probe; in brackets where it found nothing."""
    seconds = (rows.run.get("phases") or {}).get(name)
    facts = rows.facts("probe", "name", name)
    if seconds is None and facts is None:
        return ""
    text = f"{seconds or 0.0:.2f}"
    return f"({text})" if facts is not None and "missing" in facts else text


def main() -> None:
    """Examine one after the other, and print the table."""
    arguments = sys.argv[1:]
    budget = "120"
    if arguments[:1] == ["--budget"]:
        budget, arguments = arguments[1], arguments[2:]
    scripts = tuple(arguments) or SCRIPTS
    every = {name: examined(name, budget) for name in scripts}
    width = max(len(each) for each in (*PROBES, *AROUND)) + 2
    print("seconds".ljust(width) + "".join(each.rjust(26) for each in scripts))
    for phase in (*AROUND[:2], *PROBES, *AROUND[2:]):
        print(phase.ljust(width) + "".join(outcome(rows, phase).rjust(26) for rows in every.values()))
    totals = (sum((rows.run.get("phases") or {}).values()) for rows in every.values())
    print("in all".ljust(width) + "".join(f"{each:.2f}".rjust(26) for each in totals))
    print("steps of trials".ljust(width) + "".join(str(len(rows["trial"])).rjust(26) for rows in every.values()))


if __name__ == "__main__":
    main()
