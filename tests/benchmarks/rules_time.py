"""What judging costs: reading a recording and putting it together, and all rules on it. Prints medians in milliseconds.

Give recordings to judge, or none: then a digits script is examined first.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from dnndoctor.diagnosis import judge
from dnndoctor.recording.assemble import assemble
from dnndoctor.recording.reader import read
from dnndoctor.registry import load_rules
from dnndoctor.rule import Rule

REPEATS = 20
SLOWEST = 5


def median(work: Callable[[], object]) -> float:
    """Milliseconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def recorded() -> list[Path]:
    """The recording of a digits script, examined just now."""
    folder = tempfile.mkdtemp()
    script = Path(__file__).parents[2] / "fixtures/healthy/digits_mlp.py"
    Path(folder, "train.py").write_text(script.read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "dnndoctor", "check", "train.py", "-q", "--html", "none", "--exit-zero"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env={**os.environ})
    return list(Path(folder, ".dnndoctor").glob("*.dnnrec"))


def told(path: Path, rules: Collection[Rule]) -> str:
    """What one recording costs."""
    rows = read(path)
    measurements = assemble(rows)
    times = {one.code: median(partial(one.evaluate, measurements)) for one in rules}
    slowest = sorted(times.items(), key=lambda item: -item[1])[:SLOWEST]
    reading, assembling = median(partial(read, path)), median(partial(assemble, rows))
    judging = median(partial(judge, measurements, rules))
    names = ", ".join(f"{code} {ms:.2f}" for code, ms in slowest)
    return (
        f"{path.name}: read {reading:.0f} ms, put together {assembling:.0f} ms, "
        f"{len(rules)} rules {judging:.1f} ms; slowest {names}"
    )


def main() -> None:
    """Print what each recording costs."""
    for path in [Path(each) for each in sys.argv[1:]] or recorded():
        print(told(path, load_rules().values()))


if __name__ == "__main__":
    main()
